//! What this program does as a child, with a driver that its parent chose.

use crate::inputs::Random;
use crate::suite;
use kernels::{Backend, BackendChoice, Cpu, Cuda, CudaOptions, KernelError, choose};
use std::process::ExitCode;

/// Runs a role; the second argument is its seed.
pub(crate) fn run(arguments: &[String]) -> ExitCode {
    let seed = arguments.get(1).and_then(|seed| seed.parse().ok()).unwrap_or(0);
    match arguments.first().map(String::as_str) {
        Some("suite") => suite::compare(&open(CudaOptions::default()), seed),
        Some("full_table") => full_table(seed),
        Some("threads") => threads(seed),
        Some("calls") => calls(&suite::SMALL_CALLS),
        Some("pseudonyms") => calls(&suite::SMALL_CALLS[..1]),
        Some("choose") => print_choices(),
        Some("limited") => limited(),
        other => panic!("no role `{other:?}`"),
    }
    ExitCode::SUCCESS
}

fn open(options: CudaOptions) -> Cuda {
    Cuda::open(options).expect("the emulated device opens")
}

/// Compares with a table in which a single slot stays free.
fn full_table(seed: u64) {
    let cuda = open(CudaOptions { most_fill_percent: 100, ..CudaOptions::default() });
    let mut random = Random(seed);
    for rows in [1, 3, 255, 511, 1_023] {
        suite::check_keys(&cuda, &random.keys(rows), &format!("{rows} different keys, seed {seed}"));
    }
}

/// Compares while several threads use one device.
fn threads(seed: u64) {
    let cuda = open(CudaOptions::default());
    std::thread::scope(|scope| {
        for thread in 0..3 {
            let cuda = &cuda;
            scope.spawn(move || suite::compare_random(cuda, seed * 100 + thread));
        }
    });
}

/// Makes each call once, and prints each error. A result that is there must be right.
fn calls(calls: &[suite::SmallCall]) {
    let cuda = match Cuda::open(CudaOptions::default()) {
        Ok(cuda) => cuda,
        Err(error) => return println!("error: {error}"),
    };
    for (name, call) in calls {
        match (call(&cuda), call(&Cpu::new())) {
            (Ok(device), Ok(cpu)) => assert!(device == cpu, "{name} differs"),
            (Err(error), _) => println!("error: {error}"),
            (Ok(_), Err(error)) => panic!("{name} fails on the CPU: {error}"),
        }
    }
}

fn print_choices() {
    for choice in [BackendChoice::Auto, BackendChoice::Cpu, BackendChoice::Cuda] {
        match choose(choice, CudaOptions::default()) {
            Ok(chosen) => println!("{choice}: {}: {}", chosen.backend.kind(), chosen.reason),
            Err(error) => println!("{choice}: error: {error}"),
        }
    }
}

/// Prints the error of calls that exceed the limit of the options.
fn limited() {
    let cuda = open(CudaOptions { most_bytes: Some(8), ..CudaOptions::default() });
    for (name, call) in suite::SMALL_CALLS {
        match call(&cuda) {
            Err(KernelError::Device(error)) => println!("{name}: {error}"),
            other => panic!("{name} gives {other:?} with 8 bytes"),
        }
    }
    println!("{}", cuda.description());
}
