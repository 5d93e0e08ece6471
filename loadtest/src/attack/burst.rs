//! Small events that cost the server most: each changes a little of a user with large lists.

use crate::wall_clock;
use std::io::Write;

/// Gives a burst's events one by one, each as a line; false when there is none left.
pub(crate) type Lines = Box<dyn FnMut(&mut Vec<u8>) -> bool>;

/// Renders a feed event as a line. `data` is JSON.
pub(crate) fn render(out: &mut Vec<u8>, [source, kind]: [&str; 2], user: &str, id: &str, time: i64, data: &str) {
    let time = wall_clock::rfc3339(time);
    // Writing to a vector cannot fail.
    let _ = writeln!(
        out,
        r#"{{"specversion":"1.0","id":"{id}","source":"/{source}","type":"{kind}","subject":"{user}","time":"{time}","data":{data}}}"#
    );
}

/// Changes of status, scheme after scheme, each other than the one before it. `total` bounds them.
pub(crate) fn statuses(user: String, schemes: usize, total: u64) -> Lines {
    const STATUSES: [&str; 3] = ["applied", "under_review", "not_applied"];
    numbered(total, move |number, time, out| {
        let (scheme, round) = (number as usize % schemes, number as usize / schemes);
        let data = format!(
            r#"{{"scheme_id":"{}","application_status":"{}"}}"#,
            super::fat::scheme_id(scheme),
            STATUSES[round % STATUSES.len()]
        );
        let kind = ["schemes", "scheme.application.status_changed"];
        render(out, kind, &user, &number.to_string(), time, &data);
    })
}

/// A short deadline that changes again and again; the last events complete the user's large ones.
pub(crate) fn deadlines(user: String, large: usize, total: u64) -> Lines {
    let changes = total.saturating_sub(large as u64);
    numbered(total, move |number, time, out| {
        let id = number.to_string();
        if number >= changes {
            let deadline = super::fat::deadline_id((number - changes) as usize);
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

/// Changes of consent, which open and close the large lists to services.
pub(crate) fn consents(user: String, total: u64) -> Lines {
    numbered(total, move |number, time, out| {
        let level = ["full", "minimal"][number as usize % 2];
        let data = format!(r#"{{"data_sharing_level":"{level}"}}"#);
        render(out, ["consent", "user.consent.updated"], &user, &number.to_string(), time, &data);
    })
}

/// Events with a number from 0 and a time that rises by a microsecond.
fn numbered(total: u64, mut render: impl FnMut(u64, i64, &mut Vec<u8>) + 'static) -> Lines {
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

    fn all(mut lines: Lines) -> Vec<Value> {
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
