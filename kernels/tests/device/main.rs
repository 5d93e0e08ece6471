//! Compares the CUDA back end with the CPU: on an emulated device, or with `--device` on a real one.
//!
//! The emulated device is a `libcuda` of our own, see `tests/emulator`. A library is loaded once in a process, so each case
//! runs in a process of its own: this program starts itself with `--child`. It has no test harness for that reason; a first
//! argument without `--` selects cases by a part of their name.
#![expect(clippy::print_stdout, reason = "printing what was tested is a part of this program")]

mod child;
mod emulator;
mod faults;
mod inputs;
mod mutants;
mod suite;

use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.first().map(String::as_str) {
        Some("--child") => child::run(&arguments[1..]),
        Some("--device") => on_a_device(),
        Some("--nvrtc") => with_the_compiler(&arguments[1]),
        Some("--list") => ExitCode::SUCCESS,
        first => on_the_emulated_device(first.filter(|argument| !argument.starts_with("--")).unwrap_or_default()),
    }
}

/// Runs the suite on the first GPU, or says why there is none.
fn on_a_device() -> ExitCode {
    match kernels::Cuda::open(kernels::CudaOptions::default()) {
        Ok(cuda) => {
            println!("comparing the CPU with {}", kernels::Backend::description(&cuda));
            for seed in 0..4 {
                suite::compare(&cuda, seed);
            }
            println!("all results are the same");
            ExitCode::SUCCESS
        }
        Err(error @ (kernels::CudaError::NoDriver | kernels::CudaError::NoDevice { .. })) => {
            println!("SKIPPED: nothing was compared on a GPU, because {error}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            println!("the GPU cannot be used: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Lets the back end compile its kernels with the NVRTC of this folder. `tests/kernels/run` calls it.
fn with_the_compiler(folder: &str) -> ExitCode {
    let emulator = emulator::Emulator::build();
    let device = emulator.original().with_folder(folder);
    let run = device.run(&["limited"], &[]);
    run.expect_success();
    let expected = "kernels: compiled by NVRTC for compute capability 7.5";
    assert!(run.text().contains(expected), "{}", run.text());
    device.run(&["calls"], &[]).expect_success();
    // A driver that is older than the compiler refuses its PTX.
    let trace = device.run(&["limited"], &[("EMULATOR_TRACE", 1)]);
    let calls = faults::traced_calls(&trace);
    let first_load = calls.iter().position(|name| name == "cuModuleLoadData").expect("modules are loaded");
    let run = device.run(&["limited"], &[("EMULATOR_FAIL_AT", first_load as u64 + 1)]);
    run.expect_success();
    let expected = "kernels: stored PTX, because the CUDA driver failed in `cuModuleLoadData`";
    assert!(run.text().contains(expected), "{}", run.text());
    println!(
        "the back end compiles its kernels with NVRTC, and uses the stored PTX where the driver refuses the result"
    );
    ExitCode::SUCCESS
}

/// A case: a name, and a function that panics when it fails.
type Case = (&'static str, fn(&emulator::Emulator));

const CASES: &[Case] = &[
    ("the_device_computes_what_the_cpu_computes", suite_passes),
    ("a_full_table_and_several_threads_change_nothing", suite_passes_with_options),
    ("every_mutated_source_is_noticed", mutants::all_are_noticed),
    ("every_call_that_fails_is_an_error_and_leaks_nothing", faults::every_call),
    ("a_call_that_fails_leaves_no_key_on_the_device", faults::no_key_is_left),
    ("a_driver_without_a_device_is_an_error", faults::no_device),
    ("a_driver_that_lacks_functions_is_an_error", faults::incomplete_driver),
    ("a_missing_driver_leaves_the_cpu", faults::no_driver),
    ("a_small_device_is_an_error", faults::small_device),
];

fn on_the_emulated_device(filter: &str) -> ExitCode {
    let chosen: Vec<&Case> = CASES.iter().filter(|(name, _)| name.contains(filter)).collect();
    if chosen.is_empty() {
        return ExitCode::SUCCESS;
    }
    println!("\nrunning {} tests", chosen.len());
    let emulator = emulator::Emulator::build();
    let mut failed = 0;
    for (name, case) in &chosen {
        let passed = std::panic::catch_unwind(|| case(&emulator)).is_ok();
        println!("test {name} ... {}", if passed { "ok" } else { "FAILED" });
        failed += usize::from(!passed);
    }
    println!(
        "\ntest result: {}. {} passed; {failed} failed\n",
        if failed == 0 { "ok" } else { "FAILED" },
        chosen.len() - failed
    );
    ExitCode::from(u8::from(failed != 0))
}

fn suite_passes(emulator: &emulator::Emulator) {
    for seed in 0..2 {
        emulator.original().run(&["suite", &seed.to_string()], &[("EMULATOR_SEED", seed)]).expect_success();
    }
}

fn suite_passes_with_options(emulator: &emulator::Emulator) {
    emulator.original().run(&["full_table", "7"], &[("EMULATOR_SEED", 7)]).expect_success();
    emulator.original().run(&["threads", "8"], &[("EMULATOR_SEED", 8)]).expect_success();
}
