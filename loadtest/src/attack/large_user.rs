//! Users whose lists are as large as the server accepts.

use super::event::{self, deadline_id, scheme_id};
use crate::http::{self, Connection};
use crate::random::Random;
use crate::tally::Tally;
use crate::wall_clock;
use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;

/// The size of an eligibility batch.
#[derive(Debug, Clone, Copy, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct BatchSize {
    pub(crate) schemes: usize,
    /// Number of matched rules of a scheme.
    pub(crate) rules: usize,
    /// Number of characters of a rule, and of a scheme's name.
    pub(crate) characters: usize,
    /// Whether each character has four bytes.
    #[serde(default)]
    pub(crate) wide: bool,
}

impl BatchSize {
    /// Returns the name in the report.
    pub(crate) fn name(&self) -> String {
        let wide = if self.wide { "four-byte " } else { "" };
        format!("{} schemes × {} rules of {} {wide}characters", self.schemes, self.rules, self.characters)
    }

    /// Renders the event as a line. Its text is random and hardly compresses.
    fn render(&self, user: &str) -> Vec<u8> {
        let mut random = Random::new(1);
        let schemes: Vec<String> = (0..self.schemes).map(|number| self.scheme(number, &mut random)).collect();
        let data = format!(r#"{{"schemes":[{}]}}"#, schemes.join(","));
        let mut out = Vec::new();
        let kind = ["eligibility", "eligibility.batch.computed"];
        event::render(&mut out, kind, user, "batch", wall_clock::now_micros(), &data);
        out
    }

    fn scheme(&self, number: usize, random: &mut Random) -> String {
        let mut text =
            || if self.wide { ideographs(self.characters, random) } else { letters(self.characters, random) };
        let name = text();
        let rules: Vec<String> = (0..self.rules).map(|_| format!("\"{}\"", text())).collect();
        format!(
            r#"{{"scheme_id":"{}","scheme_name":"{name}","confidence":0.5,"matched_rules":[{}],"application_status":"not_applied"}}"#,
            scheme_id(number),
            rules.join(",")
        )
    }
}

/// The size that the server accepted, and the number of bytes sent.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Accepted<T> {
    pub(crate) size: T,
    pub(crate) bytes: usize,
}

/// Posts eligibility batches of these sizes until the server accepts one.
pub(crate) async fn give_batch(
    address: SocketAddr,
    token: &str,
    user: &str,
    sizes: &[BatchSize],
) -> Result<Accepted<BatchSize>> {
    let mut connection = Connection::open(address).await?;
    let mut refusal = String::new();
    for &size in sizes {
        let event = size.render(user);
        let reply = connection.exchange(&http::post_event("eligibility", event.trim_ascii(), token)).await?;
        match reply.status {
            200 => return Ok(Accepted { size, bytes: event.len() }),
            413 | 422 => refusal = String::from_utf8_lossy(reply.body).into_owned(),
            _ => drop(reply.success()?),
        }
    }
    bail!("the server accepts none of the eligibility batches: {refusal}")
}

/// Posts `count` deadlines, with descriptions of these numbers of four-byte characters, until the server accepts all.
pub(crate) async fn give_deadlines(
    address: SocketAddr,
    token: &str,
    user: &str,
    count: usize,
    characters: &[usize],
) -> Result<Accepted<usize>> {
    let mut connection = Connection::open(address).await?;
    let mut refusal = String::new();
    for &size in characters {
        let mut random = Random::new(2);
        let events: Vec<Vec<u8>> = (0..count).map(|number| deadline(user, number, size, &mut random)).collect();
        let batch = [b"[".as_slice(), &events.join(&b","[..]), b"]"].concat();
        let reply = connection.exchange(&http::post_batch("deadlines", &batch, token)).await?;
        let answer: Tally = serde_json::from_slice(reply.success()?).context("an answer that is not a tally")?;
        if answer.applied == count as u64 {
            return Ok(Accepted { size, bytes: batch.len() });
        }
        refusal = String::from_utf8_lossy(reply.body).chars().take(500).collect();
    }
    bail!("the server accepts none of the deadlines: {refusal}")
}

fn deadline(user: &str, number: usize, characters: usize, random: &mut Random) -> Vec<u8> {
    // Each on a day of its own, and none overdue.
    let due = format!("20{}-{:02}-{:02}", 90 + number / 28 / 12, 1 + number / 28 % 12, 1 + number % 28);
    let data = format!(
        r#"{{"deadline_id":"{}","type":"renewal","description":"{}","due_date":"{due}","priority":"low","action_url":"/a"}}"#,
        deadline_id(number),
        ideographs(characters, random)
    );
    let mut out = Vec::new();
    let kind = ["deadlines", "deadline.detected"];
    event::render(&mut out, kind, user, &format!("large-{number}"), wall_clock::now_micros(), &data);
    out.trim_ascii_end().to_vec()
}

/// Returns random lower-case letters, without digits that could look like a personal number.
fn letters(count: usize, random: &mut Random) -> String {
    (0..count).map(|_| char::from(b'a' + random.below(26) as u8)).collect()
}

/// Returns random ideographs of CJK Extension B. They have four bytes in UTF-8, and normalisation does not change them.
fn ideographs(count: usize, random: &mut Random) -> String {
    let ideograph = |random: &mut Random| char::from_u32(0x2_0000 + random.below(0xa000) as u32).unwrap_or('a');
    (0..count).map(|_| ideograph(random)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    #[test]
    fn a_batch_has_the_size_it_says() {
        let event = BatchSize { schemes: 256, rules: 16, characters: 225, wide: false }.render("usr_Attacker0000");
        assert!((900_000..1_048_576).contains(&event.len()), "{} bytes", event.len());
        let event: Value = serde_json::from_slice(&event).expect("JSON");
        let schemes = event["data"]["schemes"].as_array().expect("schemes");
        assert_eq!((schemes.len(), schemes[255]["matched_rules"].as_array().map(Vec::len)), (256, Some(16)));
        let wide = BatchSize { schemes: 14, rules: 16, characters: 64, wide: true }.render("usr_Attacker0000");
        assert!((60_000..65_536).contains(&wide.len()), "{} bytes", wide.len());
    }

    #[test]
    fn a_deadline_is_json_and_has_four_bytes_a_character() {
        let event = deadline("usr_Attacker0000", 255, 100, &mut Random::new(1));
        let event: Value = serde_json::from_slice(&event).expect("JSON");
        assert_eq!(event["data"]["description"].as_str().map(str::len), Some(400));
        assert_eq!(event["data"]["due_date"], "2090-10-04");
    }
}
