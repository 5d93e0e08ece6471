//! `loadtest`: see `loadtest --help`.

use std::process::ExitCode;

// The server's allocator, since the bare handlers that it is compared with run in this program.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    loadtest::cli::main()
}
