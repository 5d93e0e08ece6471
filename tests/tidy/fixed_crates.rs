//! The external crates that the specification requires: each is a normal dependency and is used for its purpose.

use crate::code::{self, mentions};
use crate::{manifest, none};

/// One use of a required crate.
struct Use {
    /// The crate's name in the registry.
    name: &'static str,
    /// The workspace crate that depends on it.
    user: &'static str,
    /// Prefix of the paths of the files that use it.
    place: &'static str,
    /// The names that must all occur in these files.
    names: &'static [&'static str],
    /// What the crate is used for.
    purpose: &'static str,
}

const ROOT: &str = "profile-server";

const USES: &[Use] = &[
    Use {
        name: "actix",
        user: "actors",
        place: "actors/src/runtime/",
        names: &["actix", "Actor", "Handler"],
        purpose: "each active user is an actix actor",
    },
    Use {
        name: "actix-web",
        user: ROOT,
        place: "src/http/transport/listener.rs",
        names: &["actix_web", "App", "HttpService"],
        purpose: "the HTTP server, over connections of our own (ADR 0009)",
    },
    Use { name: "tokio", user: ROOT, place: "src/live/", names: &["tokio"], purpose: "time-outs and channels" },
    Use { name: "serde", user: "config", place: "config/src/", names: &["Deserialize"], purpose: "settings" },
    Use { name: "serde_json", user: "domain", place: "domain/src/", names: &["serde_json"], purpose: "JSON" },
    Use {
        name: "json-patch",
        user: "domain",
        place: "domain/src/pipeline/",
        names: &["json_patch", "Patch", "PatchOperation"],
        purpose: "emitted patches are `json_patch::Patch`",
    },
    Use {
        name: "moka",
        user: "actors",
        place: "actors/src/view",
        names: &["moka"],
        purpose: "ready-to-send views live in moka",
    },
    Use { name: "sled", user: "store", place: "store/src/", names: &["sled", "Tree"], purpose: "durable state" },
    Use {
        name: "sha2",
        user: "domain",
        place: "domain/src/integrity.rs",
        names: &["sha2", "Sha256"],
        purpose: "the profile's hash tree",
    },
    Use {
        name: "aes-gcm-siv",
        user: "store",
        place: "store/src/seal",
        names: &["aes_gcm_siv", "Aes256GcmSiv"],
        purpose: "every record on disk is sealed",
    },
    Use {
        name: "tracing-subscriber",
        user: ROOT,
        place: "src/telemetry",
        names: &["tracing_subscriber"],
        purpose: "logs",
    },
    Use { name: "metrics", user: "store", place: "store/src/metric.rs", names: &["metrics"], purpose: "metrics" },
    Use { name: "metrics", user: "actors", place: "actors/src/metric.rs", names: &["metrics"], purpose: "metrics" },
    Use {
        name: "metrics-exporter-prometheus",
        user: ROOT,
        place: "src/telemetry",
        names: &["metrics_exporter_prometheus", "PrometheusBuilder"],
        purpose: "the admin listener's /metrics",
    },
];

#[test]
fn fixed_crates_are_normal_dependencies() {
    let members = manifest::members();
    let missing = USES.iter().filter(|wanted| {
        let user = members.iter().find(|member| member.name == wanted.user);
        !user.is_some_and(|user| user.normal.iter().any(|name| name == wanted.name))
    });
    none(missing.map(|wanted| format!("`{}` does not depend on `{}`", wanted.user, wanted.name)).collect());
}

#[test]
fn fixed_crates_are_used_for_their_purpose() {
    let sources = code::all();
    let mut findings = Vec::new();
    for Use { name, place, names, purpose, .. } in USES {
        let product: Vec<_> = sources.iter().filter(|file| !file.is_test && file.path.starts_with(place)).collect();
        for wanted in *names {
            if !product.iter().any(|file| mentions(&file.code, wanted)) {
                findings.push(format!("`{place}*` does not name `{wanted}` of {name}: {purpose}"));
            }
        }
    }
    none(findings);
}

#[test]
fn the_folders_that_the_product_has_are_there() {
    let folders = ["src", "actors", "config", "kernels", "data", "tests", "loadtest"];
    let missing = folders.iter().filter(|folder| !crate::tree::root().join(folder).is_dir());
    none(missing.map(|folder| format!("no folder `{folder}`")).collect());
}
