//! Measures an export of records, from the request to the durable file, beside writing the same table alone.
//!
//! ```text
//! cargo run --release --example export_bench [PEOPLE [FORMAT [FILE]]]
//! ```
//!
//! With `FILE`, the file of the last export is kept there, and its classes are counted again on their own. `make compare` has
//! Polars and DuckDB count the same.
//!
//! People are those of the generated population who take part in analytics, each with the columns that the first events make.
//! The table that is written alone has the words and classes of the export's file, and other numbers and pseudonyms.
#![expect(clippy::print_stdout, reason = "it prints figures")]

#[path = "../../actors/examples/merge_bench/ports.rs"]
mod ports;

use std::error::Error;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::scope;
use std::time::{Duration, Instant};

use actors::columns::ColumnStore;
use actors::export::{ExportOptions, ExportPorts, Exports};
use actors::{Options, Profiles};
use domain::columns::Row;
use domain::day::Day;
use domain::export::{ExportClaims, ExportJob, ExportMode, ExportRequest, ExportRules, JobState};
use domain::id::ProfileId;
use domain::pipeline::{ApplyOutcome, AssemblyContext, NewUser, apply};
use domain::port::clock::{Clock, Entropy};
use domain::port::journal::RowId;
use domain::port::projection::Projection;
use domain::port::table::{ColumnType, ColumnValues, NO_WORD, TableColumn, TableFormat, TableSchema};
use domain::record::Replay;
use domain::rules::Rules;
use domain::splitmix64;
use kernels::{Backend, BackendChoice, Cpu, CudaOptions, Generalisation, Level, SensitiveColumn};
use store::{MasterKey, StoreOptions};

/// The server's allocator.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

struct Wall;

impl Clock for Wall {
    fn now_micros(&self) -> i64 {
        ports::NOW
    }
}

struct Mixed(std::sync::atomic::AtomicU64);

impl Entropy for Mixed {
    fn fill(&self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(8) {
            let number = splitmix64::mix(self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed));
            chunk.copy_from_slice(&number.to_le_bytes()[..chunk.len()]);
        }
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let people = std::env::args().nth(1).and_then(|text| text.parse().ok()).unwrap_or(200_000);
    let format = std::env::args().nth(2).and_then(|text| TableFormat::parse(&text)).unwrap_or(TableFormat::Parquet);
    let kept = std::env::args().nth(3).map(PathBuf::from);
    actix::System::new().block_on(measure(people, format, kept.as_deref()))?;
    kept.map_or(Ok(()), |kept| count_classes(&kept, format))
}

async fn measure(people: u64, format: TableFormat, kept: Option<&Path>) -> Result<(), Box<dyn Error>> {
    let directory = tempfile::tempdir()?;
    let entropy: Arc<dyn Entropy> = Arc::new(Mixed(Default::default()));
    let options = StoreOptions::new(directory.path());
    let store = store::open(options, &MasterKey::new(1, [7; 32]), Arc::new(Replay), entropy.clone())?;
    let profiles = Profiles::start(Options::default(), ports::ports())?;
    let (rules, columns) = (Arc::new(ports::rules()), profiles.columns());
    while !columns.is_ready() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let started = Instant::now();
    fill(&columns, people, &rules);
    println!("{people} people, columns filled in {:.1} s", started.elapsed().as_secs_f64());

    let export_rules: Arc<ExportRules> = Arc::new(config::load_export(Path::new("."))?);
    let (parse_rules, parse_export) = (rules.clone(), export_rules.clone());
    let parse = move |text: &str| ExportRequest::parse(text.as_bytes(), &parse_rules, &parse_export).ok();
    let parse_again = parse.clone();
    let ports = ExportPorts {
        columns,
        tables: store.tables.clone(),
        registry: store.registry.clone(),
        clock: Arc::new(Wall),
        entropy,
        backend: kernels::choose(BackendChoice::Auto, CudaOptions::default())?,
        rules: export_rules.clone(),
        parse: Box::new(parse),
        // Each run of the benchmark is the first: what was made before counts as aggregates, which are not compared.
        parse_earlier: Box::new(move |text| Some(ExportRequest { mode: ExportMode::Aggregate, ..parse_again(text)? })),
    };
    let exports = Exports::start(&ExportOptions::default(), ports)?;
    for k in [10, 10, 100, 1_000] {
        let started = Instant::now();
        exports.feasibility(k, 2)?;
        println!("feasibility of k = {k}: {:.0} ms", started.elapsed().as_secs_f64() * 1e3);
    }
    let body = format!(r#"{{"format":"{}","k":10}}"#, format.name());
    let request =
        ExportRequest::parse(body.as_bytes(), &rules, &export_rules).map_err(|_| "the request is not valid")?;
    for _ in 0..3 {
        let started = Instant::now();
        let job = run(&exports, request.clone()).await?;
        let took = started.elapsed();
        let result = job.result().ok_or("the export has no result")?;
        let alone = write_alone(&exports, &job, format, directory.path())?;
        println!(
            "{}: {} rows in {:.2} s, {} MB, {} left out; the table alone {:.2} s; ratio {:.2} (goal 4)",
            format.name(),
            result.rows_written,
            took.as_secs_f64(),
            result.bytes / 1_000_000,
            result.rows_suppressed,
            alone.as_secs_f64(),
            took.as_secs_f64() / alone.as_secs_f64(),
        );
        if let Some(kept) = kept {
            std::fs::copy(directory.path().join("read"), kept)?;
        }
        exports.cancel(job.id, "bench").await;
    }
    exports.stop();
    Ok(())
}

/// Counts the classes of a file's quasi-identifiers and the values of its sensitive columns, as a job does.
fn count_classes(file: &Path, format: TableFormat) -> Result<(), Box<dyn Error>> {
    let table = store::table::read_table(file, format, &[])?;
    let claims = ExportClaims::from_metadata(&table.metadata)?;
    // A missing word is a value like another.
    let codes = |name: &String| -> Vec<u32> {
        let missing = table.words[name].words.len() as u32;
        table.words[name].codes.iter().map(|code| if *code == NO_WORD { missing } else { u32::from(*code) }).collect()
    };
    let cardinality = |name: &String| table.words[name].words.len() as u32 + 1;
    let quasi: Vec<Vec<u32>> = claims.quasi_identifiers.iter().map(codes).collect();
    let sensitive: Vec<Vec<u32>> = claims.sensitive.iter().map(codes).collect();
    let levels = claims.quasi_identifiers.iter().map(|name| Level::identity(cardinality(name))).collect();
    let generalisation = Generalisation::new(levels)?;
    let columns: Vec<&[u32]> = quasi.iter().map(Vec::as_slice).collect();
    let values = sensitive.iter().zip(&claims.sensitive);
    let values: Vec<_> =
        values.map(|(codes, name)| SensitiveColumn { codes, cardinality: cardinality(name) }).collect();
    let pool = rayon::ThreadPoolBuilder::new().num_threads(2).build()?;
    let mut best = Duration::MAX;
    let mut classes = 0;
    for _ in 0..7 {
        let started = Instant::now();
        classes = pool.install(|| Cpu::new().row_classes(&generalisation, &columns, &values))?.classes.len();
        best = best.min(started.elapsed());
    }
    println!("classes {classes} rows {} seconds {:.4}", table.rows, best.as_secs_f64());
    Ok(())
}

/// Makes the rows of everyone, on two threads.
fn fill(columns: &ColumnStore, people: u64, rules: &Rules) {
    let population = ports::population(people);
    let half = people / 2;
    scope(|scope| {
        for part in [0..half, half..people] {
            let population = &population;
            scope.spawn(move || {
                let context = AssemblyContext {
                    rules,
                    rules_fingerprint: rules.fingerprint(),
                    policy_version: 1,
                    day: Day::at(ports::NOW, &rules.zone),
                };
                for person in part {
                    let mut state = None;
                    for event in population.first_events(person) {
                        let event = ports::accept(&event, rules);
                        if let ApplyOutcome::Changed(change) = apply(state.as_ref(), new_user, &event, &context) {
                            state = Some(change.finish(&event.user, ports::NOW, 1).state);
                        }
                    }
                    if let Some(state) = state {
                        columns.loaded(RowId(person as u32), &state);
                    }
                }
            });
        }
    });
    let taking_part = (0..people as u32).filter(|row| Row::is_opted_in(&columns.row(RowId(*row)))).count();
    println!("{taking_part} of them take part in analytics");
}

fn new_user() -> NewUser {
    NewUser { profile_id: ProfileId::from_random([7; 16]), integrity_key: [7; 16] }
}

async fn run(exports: &Exports, request: ExportRequest) -> Result<ExportJob, Box<dyn Error>> {
    let id = exports.new_id();
    exports.begin(id, request, "bench".to_owned()).await?;
    let mut watched = exports.watch(id, "bench").await.ok_or("the job is unknown")?;
    let mut last = Instant::now();
    let mut stage = None;
    let ended = loop {
        let job = watched.borrow_and_update().clone();
        if job.state() == JobState::Running && stage != Some(job.progress().stage) {
            if let Some(stage) = stage {
                println!("  {:?} {:.2} s", stage, last.elapsed().as_secs_f64());
            }
            (stage, last) = (Some(job.progress().stage), Instant::now());
        }
        if job.state().is_final() {
            break job;
        }
        watched.changed().await?;
    };
    if let Some(stage) = stage {
        println!("  {stage:?} {:.2} s", last.elapsed().as_secs_f64());
    }
    Ok(ended)
}

/// Writes a table like that of the job, unencrypted and on one thread, and returns how long it took.
fn write_alone(
    exports: &Exports,
    job: &ExportJob,
    format: TableFormat,
    directory: &Path,
) -> Result<Duration, Box<dyn Error>> {
    let file = exports.open(job.id)?.ok_or("the file is gone")?;
    let path = directory.join("read");
    std::fs::write(&path, file.read(0, file.length() as usize)?)?;
    let read = store::table::read_table(&path, format, &[])?;
    let mut columns = Vec::new();
    let mut batches: Vec<Vec<ColumnValues>> = Vec::new();
    let rows = read.rows;
    for name in &read.columns {
        let values = match read.words.get(name) {
            Some(column) => ColumnType::Word(column.words.clone().into()),
            None if name == "pseudonym" => ColumnType::Key,
            None => ColumnType::Integer,
        };
        columns.push(TableColumn { name: name.clone(), description: name.clone(), values });
    }
    for first in (0..rows).step_by(128 << 10) {
        let range = first..rows.min(first + (128 << 10));
        let batch = read.columns.iter().map(|name| match read.words.get(name) {
            Some(column) => ColumnValues::Words(column.codes[range.clone()].to_vec()),
            None if name == "pseudonym" => {
                let key = |row: usize| std::array::from_fn(|at| splitmix64::mix((row * 32 + at) as u64) as u8);
                ColumnValues::Keys(range.clone().map(key).collect())
            }
            None => ColumnValues::Integers(
                range.clone().map(|row| Some((splitmix64::mix(row as u64) % 40) as i64)).collect(),
            ),
        });
        batches.push(batch.collect());
    }
    let schema = TableSchema { columns, metadata: read.metadata };
    let one_thread = rayon::ThreadPoolBuilder::new().num_threads(1).build()?;
    let started = Instant::now();
    let out = std::io::BufWriter::new(std::fs::File::create(directory.join("alone"))?);
    one_thread.install(|| store::table::encode(format, &schema, &batches, out))?.into_inner()?.sync_all()?;
    Ok(started.elapsed())
}
