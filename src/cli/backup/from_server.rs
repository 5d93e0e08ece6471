//! A backup that a running server makes, over as many connections as it takes.

use std::io::{BufReader, Read};
use std::path::Path;
use std::thread;
use std::time::Duration;

use anyhow::{Context, bail};
use config::{Settings, Sources};
use store::backup::whole_chunks;
use ureq::BodyReader;

use super::{BackupArguments, PIECE, write_to};
use crate::cli::admin_client::{AdminClient, Refused};
use crate::cli::output_file::{OutputFile, STANDARD};

/// The header with the id of a backup.
const BACKUP_ID: &str = "x-backup-id";
/// How long to wait before each try to connect again.
const PAUSES: [Duration; 5] = [
    Duration::from_millis(100),
    Duration::from_millis(400),
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(4),
];
/// Refusals that another try may overcome.
const BUSY: [u16; 2] = [429, 503];
/// Refusals that nothing overcomes: the rest cannot be had any more.
const OVER: [u16; 2] = [400, 404];

/// The connection broke, and could not be made again. The server may still hold the rest.
#[derive(Debug, thiserror::Error)]
#[error("the backup broke off after {bytes} bytes ({cause:#}): {advice}")]
pub(super) struct BrokeOff {
    bytes: u64,
    cause: anyhow::Error,
    advice: &'static str,
}

/// A backup on its way from a server.
struct Download<'a> {
    connect: &'a dyn Fn() -> anyhow::Result<AdminClient>,
    id: String,
    body: BodyReader<'static>,
    /// Bytes that have come.
    bytes: u64,
}

/// Makes a backup, or continues one.
pub(super) fn run(
    arguments: &BackupArguments,
    settings: &Settings,
    sources: &Sources,
    rate: Option<u64>,
) -> anyhow::Result<()> {
    // A token that is given is read once, since stdin ends. Where the command signs its own, each connection has a new one, so a
    // backup may take longer than one is valid.
    let given = AdminClient::with_given_token(&arguments.server, settings)?;
    let connect = || given.clone().map_or_else(|| AdminClient::new(&arguments.server, settings, sources), Ok);
    let out = &*arguments.out;
    let (output, mut download) = match arguments.resume {
        true => resume(out, &connect)?,
        false => {
            if out != Path::new(STANDARD) {
                // Before the server begins, which takes long.
                drop(OutputFile::open_part(out)?);
            }
            let path = rate.map_or_else(String::new, |rate| format!("?bytes_per_second={rate}"));
            let answer = connect()?.call("GET", &format!("/admin/backup{path}"), None)?;
            let id = answer.headers().get(BACKUP_ID).and_then(|id| id.to_str().ok()).unwrap_or_default().to_owned();
            let body = answer.into_body().into_reader();
            (OutputFile::create(out)?, Download { connect: &connect, id, body, bytes: 0 })
        }
    };
    let advice = match out == Path::new(STANDARD) {
        true => "make it again",
        false => "continue it with `--resume` within ten minutes, or make it again",
    };
    let begun = download.bytes;
    write_to(output, out, begun, || {
        download.next().map_err(|cause| match cause.downcast_ref::<Refused>() {
            Some(Refused { status, .. }) if OVER.contains(status) => cause,
            _ => BrokeOff { bytes: download.bytes, cause, advice }.into(),
        })
    })
}

/// Returns the part of an earlier run, without a chunk that is not whole, and what continues it.
fn resume<'a>(
    out: &Path,
    connect: &'a dyn Fn() -> anyhow::Result<AdminClient>,
) -> anyhow::Result<(OutputFile, Download<'a>)> {
    if out == Path::new(STANDARD) {
        bail!("`--resume` needs the file of the earlier run: what went to stdout is not known");
    }
    let nothing = || format!("nothing to continue in `{}.part`: make a backup without `--resume`", out.display());
    let mut part = OutputFile::open_part(out)?.with_context(nothing)?;
    let (id, bytes) = whole_chunks(&mut BufReader::with_capacity(1 << 20, &mut part)).with_context(nothing)?;
    let id = format!("{id:032x}");
    let body = connect_again(connect, &id, bytes)?;
    Ok((OutputFile::continued(part, out, bytes)?, Download { connect, id, body, bytes }))
}

fn connect_again(
    connect: &dyn Fn() -> anyhow::Result<AdminClient>,
    id: &str,
    from: u64,
) -> anyhow::Result<BodyReader<'static>> {
    let answer = connect()?.call("GET", &format!("/admin/backup/{id}?from={from}"), None)?;
    Ok(answer.into_body().into_reader())
}

impl Download<'_> {
    /// Returns the next piece; `None` at the end. Connects again if the connection breaks.
    fn next(&mut self) -> anyhow::Result<Option<Vec<u8>>> {
        let mut pauses = PAUSES.into_iter();
        let mut piece = vec![0; PIECE];
        loop {
            let mut error = match self.body.read(&mut piece) {
                Ok(0) => return Ok(None),
                Ok(filled) => {
                    piece.truncate(filled);
                    self.bytes += filled as u64;
                    return Ok(Some(piece));
                }
                Err(error) => anyhow::Error::new(error),
            };
            loop {
                let Some(pause) = pauses.next() else { return Err(error) };
                thread::sleep(pause);
                match connect_again(self.connect, &self.id, self.bytes) {
                    Ok(body) => {
                        self.body = body;
                        break;
                    }
                    // The token is over, or the backup is: another try does not help.
                    Err(refusal) if refusal.downcast_ref::<Refused>().is_some_and(|it| !BUSY.contains(&it.status)) => {
                        return Err(refusal);
                    }
                    Err(not_yet) => error = not_yet,
                }
            }
        }
    }
}
