//! Choices of a back end, as settings name them.

use kernels::{BackendChoice, BackendKind, CudaOptions, choose};

#[test]
fn the_settings_name_three_choices() {
    for choice in [BackendChoice::Auto, BackendChoice::Cpu, BackendChoice::Cuda] {
        assert_eq!(choice.to_string().parse(), Ok(choice));
    }
    let refused = "gpu".parse::<BackendChoice>().expect_err("no such back end");
    assert_eq!(refused.to_string(), "the back end is `auto`, `cpu` or `cuda`, not `gpu`");
}

#[test]
fn the_cpu_is_chosen_without_a_look_for_a_gpu() {
    let chosen = choose(BackendChoice::Cpu, CudaOptions::default()).expect("there is a CPU");
    assert_eq!(chosen.backend.kind(), BackendKind::Cpu);
    assert!(
        chosen.reason.starts_with("CPU, ") && chosen.reason.ends_with("(the setting is `cpu`)"),
        "{}",
        chosen.reason
    );
}
