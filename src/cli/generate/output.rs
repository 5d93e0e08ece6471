//! Writes events to a file, to stdout, or to one file per source.

use std::fs::File;
use std::io::{self, BufWriter, ErrorKind, Write};
use std::path::Path;

use anyhow::Context;
use data::Population;
use domain::source::Source;
use indicatif::{ProgressBar, ProgressStyle};

const BUFFER_BYTES: usize = 1 << 20;

/// Number of events between two moves of the progress bar.
const BAR_STEP: u64 = 8_192;

/// Generates and writes events, of all sources or of `only` one.
pub(super) fn write(population: &Population, events: u64, only: Option<Source>, out: &Path) -> anyhow::Result<()> {
    let mut sinks = Sinks::open(out)?;
    match write_events(population, events, only, &mut sinks) {
        // The reader of a pipe has closed it.
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        other => other.with_context(|| {
            let out = out.display();
            format!("could not write `{out}`: free some space, or give another `--out`")
        }),
    }
}

fn write_events(population: &Population, events: u64, only: Option<Source>, sinks: &mut Sinks) -> io::Result<()> {
    let bar = progress_bar(events);
    let mut traffic = population.traffic(events);
    let planning = bar.clone();
    traffic.on_planning(move |people, of| planning.set_message(planning_message(people, of)));
    let mut line = Vec::with_capacity(8_192);
    let mut made = 0;
    while let Some((source, _)) = traffic.next_into(&mut line) {
        if only.is_none_or(|only| only.name() == source) {
            line.push(b'\n');
            sinks.for_source(source).write_all(&line)?;
        }
        line.clear();
        made += 1;
        if made % BAR_STEP == 1 {
            bar.set_message("");
            bar.set_position(made);
        }
    }
    bar.finish_and_clear();
    sinks.flush()
}

/// The message of the bar while a slice of time is planned.
fn planning_message(people: u64, of: u64) -> String {
    format!("planning {} %, ", people * 100 / of.max(1))
}

/// A bar on stderr, which is hidden if stderr is no terminal.
fn progress_bar(events: u64) -> ProgressBar {
    let bar = ProgressBar::new(events);
    if let Ok(style) = ProgressStyle::with_template("{wide_bar} {msg}{pos} of {len} events, {per_sec}, {eta} left") {
        bar.set_style(style);
    }
    bar
}

/// Writers for the lines: one for all, or one per source.
enum Sinks {
    One(BufWriter<Box<dyn Write>>),
    BySource(Vec<(Source, BufWriter<File>)>),
}

impl Sinks {
    fn open(out: &Path) -> anyhow::Result<Self> {
        let cannot = || format!("cannot write `{}`: give a file, a directory or `-`", out.display());
        if out.as_os_str() == "-" {
            return Ok(Self::One(BufWriter::with_capacity(BUFFER_BYTES, Box::new(io::stdout().lock()))));
        }
        if !out.is_dir() && !out.as_os_str().to_string_lossy().ends_with('/') {
            let file = File::create(out).with_context(cannot)?;
            return Ok(Self::One(BufWriter::with_capacity(BUFFER_BYTES, Box::new(file))));
        }
        std::fs::create_dir_all(out).with_context(cannot)?;
        let create = |source: Source| {
            let file = File::create(out.join(format!("{}.ndjson", source.name())))?;
            Ok((source, BufWriter::with_capacity(BUFFER_BYTES, file)))
        };
        let files: io::Result<Vec<_>> = Source::ALL.into_iter().map(create).collect();
        Ok(Self::BySource(files.with_context(cannot)?))
    }

    fn for_source(&mut self, source: &str) -> &mut dyn Write {
        match self {
            Self::One(all) => all,
            Self::BySource(files) => {
                let at = files.iter().position(|(of, _)| of.name() == source).unwrap_or_default();
                &mut files[at].1
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::One(all) => all.flush(),
            Self::BySource(files) => files.iter_mut().try_for_each(|(_, file)| file.flush()),
        }
    }
}
