//! Libraries that a test loads into a server before libc (ld.so(8), LD_PRELOAD). They are compiled here: `make test` needs a
//! C compiler anyway.

use std::path::{Path, PathBuf};
use std::process::Command;

/// Compiles the library `name` and returns its path.
pub(crate) fn compile(name: &str) -> PathBuf {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/server/{name}.c"));
    let library = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}.so"));
    // Compiled under a unique name first, because another run may have loaded the old file.
    let new = library.with_extension(format!("{}.so", std::process::id()));
    let output = Command::new("cc")
        .args(["-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-o"])
        .args([&new, &source])
        .arg("-ldl")
        .output()
        .expect("a C compiler, `cc`");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    std::fs::rename(&new, &library).unwrap();
    library
}
