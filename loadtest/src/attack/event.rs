//! Feed events of attacks, rendered as lines of NDJSON.

use crate::wall_clock;
use std::io::Write;

/// Renders a feed event as a line. The pair is the source and the event's type, `time` is in microseconds since the Unix
/// epoch, `data` is JSON.
pub(crate) fn render(out: &mut Vec<u8>, [source, kind]: [&str; 2], user: &str, id: &str, time: i64, data: &str) {
    let time = wall_clock::rfc3339(time);
    // Writing to a vector cannot fail.
    let _ = writeln!(
        out,
        r#"{{"specversion":"1.0","id":"{id}","source":"/{source}","type":"{kind}","subject":"{user}","time":"{time}","data":{data}}}"#
    );
}

/// Returns the id of a large user's scheme with this number.
pub(crate) fn scheme_id(number: usize) -> String {
    format!("s{number}")
}

/// Returns the id of a large user's deadline with this number.
pub(crate) fn deadline_id(number: usize) -> String {
    format!("d{number}")
}
