//! Small events that are expensive for the server: each changes a small part of a user with large lists.

use super::event::{deadline_id, render, scheme_id};
use crate::wall_clock;

/// Appends the next event of a burst as a line. Returns false if there are no more.
pub(crate) type EventLines = Box<dyn FnMut(&mut Vec<u8>) -> bool>;

/// Returns up to `total` changes of status, round-robin over the schemes. Each differs from the one before.
pub(crate) fn statuses(user: String, schemes: usize, total: u64) -> EventLines {
    const STATUSES: [&str; 3] = ["applied", "under_review", "not_applied"];
    numbered(total, move |number, time, out| {
        let (scheme, round) = (number as usize % schemes, number as usize / schemes);
        let data = format!(
            r#"{{"scheme_id":"{}","application_status":"{}"}}"#,
            scheme_id(scheme),
            STATUSES[round % STATUSES.len()]
        );
        let kind = ["schemes", "scheme.application.status_changed"];
        render(out, kind, &user, &number.to_string(), time, &data);
    })
}

/// Changes of one short deadline. The last events complete the user's large deadlines.
pub(crate) fn deadlines(user: String, large: usize, total: u64) -> EventLines {
    let changes = total.saturating_sub(large as u64);
    numbered(total, move |number, time, out| {
        let id = number.to_string();
        if number >= changes {
            let deadline = deadline_id((number - changes) as usize);
            let data = format!(r#"{{"deadline_id":"{deadline}","completed_at":"{}"}}"#, wall_clock::rfc3339(time));
            return render(out, ["deadlines", "deadline.completed"], &user, &id, time, &data);
        }
        let priority = ["low", "high"][number as usize % 2];
        let data = format!(
            r#"{{"deadline_id":"short","type":"renewal","description":"short","due_date":"2099-01-01","priority":"{priority}","action_url":"/a"}}"#
        );
        render(out, ["deadlines", "deadline.detected"], &user, &id, time, &data);
    })
}

/// Changes of consent, which show the large lists to services and hide them again.
pub(crate) fn consents(user: String, total: u64) -> EventLines {
    numbered(total, move |number, time, out| {
        let level = ["full", "minimal"][number as usize % 2];
        let data = format!(r#"{{"data_sharing_level":"{level}"}}"#);
        render(out, ["consent", "user.consent.updated"], &user, &number.to_string(), time, &data);
    })
}

/// Makes events with numbers from 0, one microsecond apart.
pub(crate) fn numbered(total: u64, mut render: impl FnMut(u64, i64, &mut Vec<u8>) + 'static) -> EventLines {
    let start = wall_clock::now_micros();
    let mut number = 0;
    Box::new(move |out| {
        if number == total {
            return false;
        }
        render(number, start + number as i64, out);
        number += 1;
        true
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    fn all(mut lines: EventLines) -> Vec<Value> {
        let mut out = Vec::new();
        while lines(&mut out) {}
        out.split(|&byte| byte == b'\n')
            .filter(|line| !line.is_empty())
            .map(|line| serde_json::from_slice(line).expect("JSON"))
            .collect()
    }

    #[test]
    fn every_status_event_changes_something() {
        let events = all(statuses("usr_Attacker0000".into(), 4, 12));
        assert_eq!(events.len(), 12);
        for (event, later) in events.iter().zip(&events[4..]) {
            assert_eq!(event["data"]["scheme_id"], later["data"]["scheme_id"]);
            assert_ne!(event["data"]["application_status"], later["data"]["application_status"]);
        }
        assert!(events.windows(2).all(|pair| pair[0]["time"].as_str() < pair[1]["time"].as_str()));
        assert!(events[0].to_string().len() < 220, "{}", events[0]);
    }

    #[test]
    fn deadlines_end_with_the_large_ones() {
        let events = all(deadlines("usr_Attacker0000".into(), 3, 10));
        let completed = events.iter().filter(|event| event["type"] == "deadline.completed").count();
        assert_eq!((events.len(), completed), (10, 3));
        assert_ne!(events[0]["data"]["priority"], events[1]["data"]["priority"]);
    }

    #[test]
    fn consent_turns_with_every_event() {
        let events = all(consents("usr_Attacker0000".into(), 5));
        assert!(events.windows(2).all(|pair| pair[0]["data"] != pair[1]["data"]));
    }
}
