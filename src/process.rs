//! Protects the memory and the files of the process, before it holds any data.

use std::io;

/// Forbids core dumps, which would hold keys and profiles. The limit keeps the kernel from writing a file; the other
/// setting keeps it from passing the memory to a crash handler, which the limit does not cover.
///
/// # Errors
/// The operating system refuses it.
pub(crate) fn forbid_core_dumps() -> io::Result<()> {
    use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};
    setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) })?;
    Ok(set_dumpable_behavior(DumpableBehavior::NotDumpable)?)
}

/// Makes new files private to the user that runs the server, by the process's `umask`.
pub(crate) fn keep_files_private() {
    use rustix::fs::Mode;
    rustix::process::umask(Mode::RWXG | Mode::RWXO);
}

#[cfg(test)]
mod tests {
    use rustix::process::{DumpableBehavior, Resource, dumpable_behavior, getrlimit};

    #[test]
    fn no_core_dump_is_written_or_piped_and_the_process_still_reads_about_itself() {
        super::forbid_core_dumps().unwrap();
        assert_eq!(getrlimit(Resource::Core).current, Some(0));
        assert_eq!(dumpable_behavior().unwrap(), DumpableBehavior::NotDumpable);
        // The metrics of the process are read from these files.
        for name in ["stat", "limits", "status"] {
            assert!(std::fs::read_to_string(format!("/proc/self/{name}")).is_ok(), "{name}");
        }
        assert!(std::fs::read_dir("/proc/self/fd").unwrap().count() > 0);
    }
}
