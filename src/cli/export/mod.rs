//! `export`: starts a bulk export, waits for it, and writes its file.

mod client;

use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow, bail};
use clap::Args;
use serde_json::{Map, Value, json};

use self::client::{ExportClient, ServerRefusal};
use super::output::{error_line, print_line};
use super::server_arguments::ServerArguments;

/// Exports anonymised records, or aggregates, of everyone who takes part in analytics.
///
/// Needs the token of an administrator with the scope `export` and a second factor of the last five minutes, when the export
/// begins and again when its file is downloaded. If that takes longer, take a new token and go on with `--job`.
#[derive(Args)]
#[command(after_help = "Examples:
  profile-server export --out people.parquet
  profile-server export --out bihar.parquet --state bihar --k 20 --columns age_bracket,gender,district,total_active
  profile-server export --out counts.ndjson --aggregate --epsilon 1 --columns state,age_bracket,total_active
  profile-server export --job exp_4c1d7e0b9a2f48d6b35170c8e9fa6d21 --out people.parquet
  profile-server export --feasibility --k 50
  profile-server export --dry-run --state bihar")]
pub(super) struct ExportArguments {
    #[command(flatten)]
    server: ServerArguments,
    /// File to write; its extension names the format: parquet, arrow or ndjson
    #[arg(long, value_name = "FILE", required_unless_present_any = ["feasibility", "dry_run"])]
    out: Option<PathBuf>,
    /// Starts no export: waits for this one, which was started before, and writes its file
    #[arg(long, value_name = "JOB", conflicts_with_all = ["k", "l", "columns", "aggregate", "state", "income_bracket",
        "scheme_id", "cohort_tag", "min_completeness", "feasibility", "dry_run"])]
    job: Option<String>,
    /// Minimum number of people who are alike [default: that of the server]
    #[arg(long)]
    k: Option<u32>,
    /// Minimum number of different values of each sensitive column among them [default: that of the server]
    #[arg(long)]
    l: Option<u32>,
    /// Columns, separated by commas [default: all that the server allows]
    #[arg(long, value_name = "COLUMNS", value_delimiter = ',')]
    columns: Option<Vec<String>>,
    /// Exports statistics of groups with noise, in place of records
    #[arg(long, requires = "epsilon")]
    aggregate: bool,
    /// Privacy budget that the aggregate spends
    #[arg(long, requires = "aggregate")]
    epsilon: Option<f64>,
    /// People of this state only
    #[arg(long)]
    state: Option<String>,
    /// People of this district only
    #[arg(long, requires = "state")]
    district: Option<String>,
    /// People of this income bracket only
    #[arg(long)]
    income_bracket: Option<String>,
    /// People who are eligible for this scheme only
    #[arg(long)]
    scheme_id: Option<String>,
    /// People with this cohort tag only
    #[arg(long)]
    cohort_tag: Option<String>,
    /// People whose profile is at least so complete, in percent
    #[arg(long)]
    min_completeness: Option<u8>,
    /// Prints which levels of generalisation an export of everyone would need now, and exports nothing
    #[arg(long, conflicts_with_all = ["out", "dry_run", "aggregate"])]
    feasibility: bool,
    /// Prints the request, and sends nothing
    #[arg(long)]
    dry_run: bool,
}

pub(super) fn run(arguments: &ExportArguments) -> anyhow::Result<()> {
    if arguments.dry_run {
        print_line(&arguments.request()?.to_string())?;
        return Ok(());
    }
    let client = ExportClient::new(&arguments.server)?;
    if arguments.feasibility {
        let numbers = [("k", arguments.k), ("l", arguments.l)];
        let query = numbers.iter().filter_map(|(name, number)| Some(format!("{name}={}", (*number)?)));
        let query = query.collect::<Vec<_>>().join("&");
        print_line(&client.json("GET", &format!("/api/v2/exports/feasibility?{query}"), None)?.to_string())?;
        return Ok(());
    }
    let out = arguments.out.as_deref().context("no file: name it with `--out`")?;
    let job = match &arguments.job {
        Some(job) => job.clone(),
        None => {
            let started = client.json("POST", "/api/v2/profiles/bulk-export", Some(&arguments.request()?))?;
            started["job_id"].as_str().context("the server gave no job id")?.to_owned()
        }
    };
    let status = client.wait(&job).map_err(|error| how_to_go_on(&error, &job, out))?;
    match status["state"].as_str() {
        Some("done") => {}
        Some(state) => {
            bail!("export `{job}` is {state}: {}", status["error"].as_str().unwrap_or("it has no file"))
        }
        None => bail!("the server's answer is not that of an export"),
    }
    let length = status["bytes"].as_u64().unwrap_or(0);
    client.download(&job, out, length).map_err(|error| how_to_go_on(&error, &job, out))?;
    print_line(&status.to_string())?;
    Ok(())
}

/// Returns an error that names the job and says how to get its file: the server keeps it for a day.
fn how_to_go_on(error: &anyhow::Error, job: &str, out: &Path) -> anyhow::Error {
    let line = error_line(error);
    let refusal = error.downcast_ref::<ServerRefusal>();
    // There is nothing to go on with.
    if refusal.is_some_and(|refusal| matches!(refusal.status, 404 | 410)) {
        return anyhow!("export `{job}`: {line}");
    }
    let token = if refusal.is_some_and(|refusal| refusal.status == 401) { ", with the new token" } else { "" };
    anyhow!(
        "{line}; the export is still there: go on with `profile-server export --job {job} --out {}`{token}",
        out.display()
    )
}

impl ExportArguments {
    /// Returns the body of the request.
    fn request(&self) -> anyhow::Result<Value> {
        let mut request = Map::new();
        if let Some(out) = &self.out {
            let extension = out.extension().and_then(|extension| extension.to_str());
            let format = extension.filter(|extension| ["parquet", "arrow", "ndjson"].contains(extension));
            let format = format.ok_or_else(|| anyhow!("name the file with one of .parquet, .arrow and .ndjson"))?;
            request.insert("format".to_owned(), json!(format));
        }
        let texts = [
            ("state", &self.state),
            ("district", &self.district),
            ("income_bracket", &self.income_bracket),
            ("scheme_id", &self.scheme_id),
            ("cohort_tag", &self.cohort_tag),
        ];
        let mut filter: Map<String, Value> =
            texts.iter().filter_map(|(name, text)| Some(((*name).to_owned(), json!(text.as_ref()?)))).collect();
        filter.extend(self.min_completeness.map(|least| ("min_completeness".to_owned(), json!(least))));
        let members = [
            ("mode", self.aggregate.then(|| json!("aggregate"))),
            ("epsilon", self.epsilon.map(|epsilon| json!(epsilon))),
            ("columns", self.columns.as_ref().map(|columns| json!(columns))),
            ("k", self.k.map(|k| json!(k))),
            ("l", self.l.map(|l| json!(l))),
            ("filter", (!filter.is_empty()).then_some(Value::Object(filter))),
        ];
        request.extend(members.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))));
        Ok(Value::Object(request))
    }
}
