//! Drivers that fail.

use crate::emulator::{Emulator, Run};

/// Functions whose failure can go unnoticed, because they are called when something is released.
const SILENT: [&str; 9] = [
    "cuCtxSetCurrent",
    "cuDevicePrimaryCtxRelease",
    "cuEventDestroy",
    "cuMemFree",
    "cuMemFreeHost",
    "cuModuleUnload",
    "cuStreamDestroy",
    "cuStreamSynchronize",
    // Wiping the key's states is part of the call.
    "cuMemsetD8Async",
];

/// Lets each call of the driver fail, one in each process.
pub(crate) fn every_call(emulator: &Emulator) {
    let device = emulator.original();
    let run = device.run(&["calls"], &[("EMULATOR_TRACE", 1)]);
    run.expect_success();
    assert!(!run.text().contains("error:"), "{}", run.text());
    let calls = traced_calls(&run);
    assert!(calls.len() > 100, "only {} calls were traced", calls.len());
    let mut errors = 0;
    for (number, name) in (1..).zip(&calls) {
        let run = device.run(&["calls"], &[("EMULATOR_FAIL_AT", number)]);
        run.expect_success();
        let text = run.text();
        let is_error = text.contains(&format!("`{name}")) && text.contains("CUDA_ERROR_LAUNCH_FAILED");
        assert!(is_error || SILENT.contains(&name.as_str()), "call {number}, `{name}`, fails unnoticed:\n{text}");
        errors += usize::from(is_error);
    }
    assert!(errors * 2 > calls.len(), "only {errors} of {} failures were errors", calls.len());
}

/// Lets each call of the driver fail while pseudonyms are computed: the key is wiped on the device in any case.
pub(crate) fn no_key_is_left(emulator: &Emulator) {
    let device = emulator.original();
    let calls = traced_calls(&device.run(&["pseudonyms"], &[("EMULATOR_TRACE", 1)]));
    let first = |name: &str| calls.iter().position(|call| call.starts_with(name)).expect("is called");
    let (sent, wiped) = (first("cuMemcpyHtoDAsync"), first("cuMemsetD8Async"));
    assert!(sent < wiped, "{calls:?}");
    for number in sent + 1..wiped {
        let run = device.run(&["pseudonyms"], &[("EMULATOR_TRACE", 1), ("EMULATOR_FAIL_AT", number as u64 + 1)]);
        run.expect_success();
        let calls = traced_calls(&run);
        let after: Vec<_> = calls[number..].iter().map(String::as_str).collect();
        let position = |name: &str| after.iter().position(|call| call.starts_with(name));
        let wipe = position("cuMemsetD8Async").unwrap_or_else(|| panic!("call {number} fails, no wipe: {after:?}"));
        assert!(position("cuStreamDestroy").is_none_or(|end| wipe < end), "call {number}: {after:?}");
    }
}

/// Returns the names of the functions that a child called, in order.
pub(crate) fn traced_calls(run: &Run) -> Vec<String> {
    run.text().lines().filter_map(traced).collect()
}

/// Returns the name of the function in a line of the trace.
fn traced(line: &str) -> Option<String> {
    let (number, name) = line.strip_prefix("emulated driver: ")?.split_once(' ')?;
    (number.bytes().all(|byte| byte.is_ascii_digit()) && name.starts_with("cu")).then(|| name.to_owned())
}

pub(crate) fn no_device(emulator: &Emulator) {
    let run = emulator.original().run(&["choose"], &[("EMULATOR_DEVICES", 0)]);
    run.expect_success();
    expect_lines(&run.text(), "the CUDA driver has no device `0`: `cuInit`: CUDA_ERROR_NO_DEVICE");
    // The same with a driver that has nothing else.
    let stub = emulator.library("stub", "int cuInit(unsigned flags) { return flags == 0 ? 100 : 1; }\n");
    let run = stub.run(&["choose"], &[]);
    assert!(run.succeeded(), "{}", run.text());
    expect_lines(&run.text(), "CUDA");
}

pub(crate) fn incomplete_driver(emulator: &Emulator) {
    let stub = emulator.library("incomplete", "int cuInit(unsigned flags) { return (int)flags; }\n");
    let run = stub.run(&["choose"], &[]);
    assert!(run.succeeded(), "{}", run.text());
    expect_lines(&run.text(), "CUDA");
}

/// On a machine that has a driver, the child finds it: then there is nothing to see here.
pub(crate) fn no_driver(emulator: &Emulator) {
    let run = emulator.no_library().run(&["choose"], &[]);
    assert!(run.succeeded(), "{}", run.text());
    if !run.text().contains("auto: cuda") {
        expect_lines(&run.text(), "CUDA driver");
    }
}

pub(crate) fn small_device(emulator: &Emulator) {
    let run = emulator.original().run(&["limited"], &[]);
    run.expect_success();
    let refused = run.text().matches("`8` are available").count();
    assert_eq!(refused, 3, "{}", run.text());
    let run = emulator.original().run(&["calls"], &[("EMULATOR_MEMORY", 1_024)]);
    run.expect_success();
    assert!(run.text().contains("on the device") || run.text().contains("CUDA_ERROR_OUT_OF_MEMORY"), "{}", run.text());
}

/// Panics unless `auto` falls back to the CPU and `cuda` is an error, both for this reason.
#[track_caller]
fn expect_lines(text: &str, reason: &str) {
    let line = |start: &str| text.lines().find(|line| line.starts_with(start)).unwrap_or_default().to_owned();
    let (auto, cuda) = (line("auto: cpu: "), line("cuda: error: "));
    assert!(auto.contains(reason) && auto.contains("the setting is `auto`, and "), "{text}");
    assert!(cuda.contains(reason), "{text}");
    assert!(line("cpu: cpu: ").contains("the setting is `cpu`"), "{text}");
}
