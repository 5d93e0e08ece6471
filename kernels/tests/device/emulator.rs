//! Builds the emulated device and runs this program with it.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// Sources of the kernels.
const SOURCES: [&str; 3] = ["pseudonyms.cu", "class_sizes.cu", "aggregates.cu"];

/// Compiled parts of the emulated device, and the device with the real sources.
pub(crate) struct Emulator {
    work: PathBuf,
    common: Vec<PathBuf>,
    original: Library,
}

/// Folders with a `libcuda.so` and perhaps other libraries, as the loader wants them.
pub(crate) struct Library {
    folders: OsString,
}

/// What a child process left.
pub(crate) struct Run {
    output: Output,
    what: String,
}

impl Emulator {
    /// Compiles everything. Panics when there is no C++ compiler, or a source does not compile.
    pub(crate) fn build() -> Self {
        let work = Path::new(env!("CARGO_TARGET_TMPDIR")).join("emulator");
        let common = ["access", "schedule", "driver"].map(|name| {
            let object = work.join(format!("{name}.o"));
            fs::create_dir_all(&work).expect("a folder below the target directory");
            compile(&here().join(format!("{name}.cpp")), &object, &[]);
            object
        });
        let folder = work.join("original");
        let original = link(&folder, &cuda(), &common);
        Self { work, common: common.to_vec(), original }
    }

    /// Returns the device that runs the sources as they are.
    pub(crate) fn original(&self) -> &Library {
        &self.original
    }

    /// Returns a device that runs a copy of the sources, in which one text of one file is replaced.
    pub(crate) fn mutant(&self, name: &str, file: &str, from: &str, to: &str) -> Library {
        let folder = self.work.join(name);
        fs::create_dir_all(&folder).expect("a folder below the target directory");
        for source in SOURCES {
            let text = fs::read_to_string(cuda().join(source)).expect("a source");
            let text = if source == file {
                assert!(text.contains(from), "mutant `{name}`: `{file}` does not contain `{from}`");
                text.replacen(from, to, 1)
            } else {
                text
            };
            fs::write(folder.join(source), text).expect("a copy of a source");
        }
        link(&folder, &folder, &self.common)
    }

    /// Returns a folder with a library of this C source.
    pub(crate) fn library(&self, name: &str, source: &str) -> Library {
        let folder = self.work.join(name);
        fs::create_dir_all(&folder).expect("a folder below the target directory");
        let file = folder.join("driver.c");
        fs::write(&file, source).expect("a source");
        let mut command = Command::new("cc");
        command.args(["-shared", "-fPIC", "-o"]).arg(folder.join("libcuda.so.1")).arg(&file);
        succeed(&mut command);
        Library { folders: folder.into() }
    }

    /// Returns an empty folder.
    pub(crate) fn no_library(&self) -> Library {
        let folder = self.work.join("none");
        fs::create_dir_all(&folder).expect("a folder below the target directory");
        Library { folders: folder.into() }
    }
}

impl Library {
    /// Returns the same with the libraries of one more folder.
    pub(crate) fn with_folder(&self, folder: &str) -> Self {
        let mut folders = self.folders.clone();
        folders.push(":");
        folders.push(folder);
        Self { folders }
    }

    /// Runs this program as a child that finds the library.
    pub(crate) fn run(&self, role: &[&str], settings: &[(&str, u64)]) -> Run {
        let mut command = Command::new(std::env::current_exe().expect("the path of this program"));
        command.arg("--child").args(role).env("LD_LIBRARY_PATH", &self.folders);
        command.env("UBSAN_OPTIONS", "print_stacktrace=1");
        for (name, value) in settings {
            command.env(name, value.to_string());
        }
        let output = command.output().expect("this program starts");
        Run { output, what: format!("{role:?} with {settings:?}") }
    }
}

impl Run {
    /// Returns what the child printed, errors included.
    pub(crate) fn text(&self) -> String {
        let Output { stdout, stderr, .. } = &self.output;
        format!("{}{}", String::from_utf8_lossy(stdout), String::from_utf8_lossy(stderr))
    }

    /// Panics unless the child succeeded, without a panic that it caught and without a leak.
    #[track_caller]
    pub(crate) fn expect_success(&self) {
        let text = self.text();
        assert!(self.output.status.success(), "{} failed: {}\n{text}", self.what, self.output.status);
        assert!(!text.contains("panicked at"), "{} panicked:\n{text}", self.what);
        // One line for each time that the driver was unloaded.
        let mut leaks = text.lines().filter(|line| line.starts_with("emulated driver: ") && line.ends_with(" leaks"));
        let all_released = leaks.clone().all(|line| line.ends_with(" 0 leaks"));
        assert!(all_released && leaks.next().is_some(), "{} leaks:\n{text}", self.what);
    }

    /// Returns whether the child ended well.
    pub(crate) fn succeeded(&self) -> bool {
        self.output.status.success()
    }
}

fn here() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/emulator")
}

fn cuda() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("cuda")
}

/// Compiles the kernels of a folder and links them with the rest of the device.
fn link(folder: &Path, sources: &Path, common: &[PathBuf]) -> Library {
    fs::create_dir_all(folder).expect("a folder below the target directory");
    let object = folder.join("kernels.o");
    let include = format!("-I{}", sources.display());
    // The calls before each access to memory are those of the thread sanitizer, whose library is not linked.
    let checks = ["-fsanitize=thread", "--param=tsan-distinguish-volatile=1", "-fsanitize=undefined"];
    let checks = checks.into_iter().chain(["-fno-sanitize-recover=undefined", "-Wno-unknown-pragmas", &include]);
    compile(&here().join("kernels.cpp"), &object, &checks.collect::<Vec<_>>());
    let mut command = Command::new("c++");
    command.args(["-shared", "-o"]).arg(folder.join("libcuda.so")).arg(&object).args(common).arg("-lubsan");
    succeed(&mut command);
    Library { folders: folder.into() }
}

fn compile(source: &Path, object: &Path, more: &[&str]) {
    let mut command = Command::new("c++");
    command.args(["-std=c++17", "-O1", "-g1", "-fPIC", "-Wall", "-Wextra", "-Werror"]).args(more);
    command.arg("-c").arg(source).arg("-o").arg(object);
    succeed(&mut command);
}

fn succeed(command: &mut Command) {
    let output = command.output().expect("a C++ compiler, c++, is needed for these tests");
    assert!(output.status.success(), "{command:?}:\n{}", String::from_utf8_lossy(&output.stderr));
}
