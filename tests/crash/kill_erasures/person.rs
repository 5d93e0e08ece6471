//! A person who is erased and registers anew, and what must be true of that person after each kill.

use std::io;

use serde_json::{Value, json};

use crate::client::Client;
use crate::harness::Harness;
use crate::http::{Request, Response};
use crate::random::Random;

/// Connections of an administrator with a second factor, and of an engine.
pub(super) struct Api {
    pub(super) admin: Client,
    pub(super) feeder: Client,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Living,
    /// The erasure can be undone.
    Scheduled,
    Erased,
}

/// A request whose answer may not come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Action {
    Erase,
    Schedule,
    Undo,
    Register,
    Event,
}

/// A person, as far as answers have told.
pub(super) struct Person {
    user: String,
    state: State,
    /// The life that is there, or was there last.
    generation: u32,
    in_doubt: Option<Action>,
    /// The receipts of the lives that ended, the oldest first.
    receipts: Vec<String>,
    /// The newest revision that an answer had.
    revision: u64,
    /// The values that the person's field may have: more than one if events are in doubt.
    values: Vec<Option<u64>>,
    /// Number of events, which their times are made of.
    events: u64,
    pub(super) undone: usize,
}

/// Returns one of the people.
pub(super) fn pick<'p>(people: &'p mut [Person], random: &mut Random) -> &'p mut Person {
    let number = random.below(people.len());
    &mut people[number]
}

impl Person {
    pub(super) fn new(user: String) -> Self {
        let (receipts, values) = (Vec::new(), vec![None]);
        let state = State::Erased;
        Self { user, state, generation: 0, in_doubt: None, receipts, revision: 0, values, events: 0, undone: 0 }
    }

    /// Begins the first life.
    pub(super) fn begin(&mut self, api: &mut Api) {
        self.register(api).expect("an answer");
        assert_eq!((self.state, self.in_doubt), (State::Living, None));
    }

    pub(super) fn user(&self) -> &str {
        &self.user
    }

    /// Returns how many lives have begun after an erasure.
    pub(super) fn new_lives(&self) -> usize {
        self.generation as usize - 1
    }

    /// Returns whether every request was answered.
    pub(super) fn is_certain(&self) -> bool {
        self.in_doubt.is_none()
    }

    /// Returns the receipts of the lives that ended.
    pub(super) fn receipts(&self) -> impl Iterator<Item = Value> {
        self.receipts.iter().map(|receipt| serde_json::from_str(receipt).expect("a receipt"))
    }

    pub(super) fn verify_receipts(&self, harness: &Harness) {
        for receipt in &self.receipts {
            harness.verify_receipt(receipt, &self.user);
        }
    }

    /// Does something that is possible for the person now. An error says that the server is gone.
    pub(super) fn act(&mut self, api: &mut Api, random: &mut Random) -> io::Result<()> {
        if self.in_doubt.is_some() {
            // The server has asked to try again later. The next start decides.
            return Ok(());
        }
        match (self.state, random.below(10)) {
            (State::Living, 0..4) | (State::Scheduled, 0..3) => self.erase(api),
            (State::Living, 4..6) | (State::Scheduled, 3) => self.schedule(api),
            (State::Scheduled, 4..8) => self.undo(api),
            (State::Living | State::Scheduled, _) => self.change(api),
            (State::Erased, 0..6) => self.register(api),
            (State::Erased, 6..8) => self.erase_again(api),
            (State::Erased, _) => self.post_late(api),
        }
    }

    /// Registers anew after an erasure, and schedules one and undoes it. Returns whether the person lives, and nothing is in doubt.
    pub(super) fn prepare(&mut self, api: &mut Api) -> io::Result<bool> {
        if self.state == State::Erased {
            self.register(api)?;
        }
        if self.state == State::Living {
            self.schedule(api)?;
        }
        if self.state == State::Scheduled {
            self.undo(api)?;
        }
        Ok(self.state == State::Living && self.is_certain())
    }

    /// Does what is possible for the person now. An error says that the server is gone.
    pub(super) fn attempt(&mut self, action: Action, api: &mut Api) -> io::Result<()> {
        match action {
            Action::Erase => self.erase(api),
            Action::Schedule => self.schedule(api),
            Action::Undo => self.undo(api),
            Action::Register => self.register(api),
            Action::Event => self.change(api),
        }
    }

    /// Checks, after a start, what has become of the person, and notes it.
    pub(super) fn settle(&mut self, api: &mut Api) {
        let answer = api.read(&self.user).expect("an answer");
        let found = match (answer.status, answer.status == 410 && answer.problem() == "erased") {
            (200, _) => State::Living,
            (410, true) => State::Erased,
            (410, false) => State::Scheduled,
            _ => panic!("{}: {answer:?}", self.user),
        };
        let doubt = self.in_doubt.take();
        let became = match doubt {
            Some(Action::Erase) => State::Erased,
            Some(Action::Schedule) => State::Scheduled,
            Some(Action::Undo | Action::Register) => State::Living,
            Some(Action::Event) | None => self.state,
        };
        assert!(
            found == self.state || found == became,
            "{} was {:?}, {doubt:?} in doubt: {answer:?}",
            self.user,
            self.state
        );
        let before = std::mem::replace(&mut self.state, found);
        if doubt == Some(Action::Register) && found == State::Living {
            self.begin_life();
        }
        match found {
            State::Living => self.check_profile(&answer.json()),
            State::Scheduled => {}
            State::Erased => {
                if before != State::Erased {
                    self.erase(api).expect("an answer");
                }
                self.erase_again(api).expect("an answer");
                self.post_late(api).expect("an answer");
            }
        }
    }

    fn check_profile(&mut self, profile: &Value) {
        let revision = profile["revision"].as_u64().expect("a revision");
        assert!(revision >= self.revision, "{}: {} was acknowledged, {profile}", self.user, self.revision);
        let value = profile.pointer("/family/dependents").map(|value| value.as_u64().expect("a number"));
        assert!(self.values.contains(&value), "{}: one of {:?} in {profile}", self.user, self.values);
        (self.revision, self.values) = (revision, vec![value]);
    }

    fn begin_life(&mut self) {
        self.generation += 1;
        self.values = vec![None];
    }

    fn erase(&mut self, api: &mut Api) -> io::Result<()> {
        let answer = self.try_to(Action::Erase, |this| api.delete(&this.user, ""))?;
        if answer.status == 200 {
            let receipt = answer.json();
            assert_eq!(receipt["generation"], self.generation, "{answer:?}");
            self.receipts.push(answer.text().to_owned());
            assert_eq!(self.receipts.len(), self.generation as usize, "a receipt for each life");
            self.state = State::Erased;
            self.in_doubt = None;
        }
        Ok(())
    }

    /// Asks for the receipt again, which is the same.
    fn erase_again(&mut self, api: &mut Api) -> io::Result<()> {
        let answer = api.delete(&self.user, "")?;
        if answer.status != 503 {
            assert_eq!((answer.status, answer.text()), (200, self.receipts.last().expect("a receipt").as_str()));
        }
        Ok(())
    }

    fn schedule(&mut self, api: &mut Api) -> io::Result<()> {
        let answer = self.try_to(Action::Schedule, |this| api.delete(&this.user, "?retain_days=5"))?;
        if answer.status == 202 {
            (self.state, self.in_doubt) = (State::Scheduled, None);
        }
        Ok(())
    }

    fn undo(&mut self, api: &mut Api) -> io::Result<()> {
        let answer = self.try_to(Action::Undo, |this| api.delete(&this.user, "/erasure"))?;
        if answer.status == 204 {
            (self.state, self.in_doubt) = (State::Living, None);
            self.undone += 1;
        }
        Ok(())
    }

    fn register(&mut self, api: &mut Api) -> io::Result<()> {
        self.events += 1;
        let data = json!({"registration": true, "identity": {"gender": "female", "age_bracket": "30-40"}});
        let event = self.event("identity", "identity.verified", self.events, data);
        let answer = self.try_to(Action::Register, |_| api.post("identity", &event))?;
        if let Some(revision) = applied(&answer) {
            assert!(revision > self.revision, "revisions go on: {answer:?}");
            (self.state, self.in_doubt, self.revision) = (State::Living, None, revision);
            self.begin_life();
        }
        Ok(())
    }

    fn change(&mut self, api: &mut Api) -> io::Result<()> {
        self.events += 1;
        let value = Some(self.events % 20);
        let data = json!({"fields": {"family": {"dependents": value}}});
        let event = self.event("metadata", "user.metadata.updated", self.events, data);
        self.values.push(value);
        let answer = self.try_to(Action::Event, |_| api.post("metadata", &event))?;
        if answer.status == 200 {
            (self.in_doubt, self.values) = (None, vec![value]);
            self.revision = self.revision.max(answer.json()["results"][0]["revision"].as_u64().expect("a revision"));
        }
        Ok(())
    }

    /// Posts a registration that is not later than the erasure, since its time is that of the last event.
    fn post_late(&self, api: &mut Api) -> io::Result<()> {
        let data = json!({"registration": true, "identity": {"gender": "male"}});
        let mut event = self.event("identity", "identity.verified", self.last_event_of_life(), data);
        event["id"] = json!(format!("late-{}", self.events));
        let answer = api.post("identity", &event)?;
        if answer.status != 503 {
            assert_eq!((answer.status, answer.problem().as_str()), (410, "erased"), "{answer:?}");
        }
        Ok(())
    }

    /// Returns a number that is at most that of the newest event of the life that has ended. Later ones may have been
    /// registrations that were not taken.
    fn last_event_of_life(&self) -> u64 {
        self.receipts.len() as u64
    }

    fn event(&self, feed: &str, kind: &str, number: u64, data: Value) -> Value {
        // The clock stands at 12:00, and events may be five minutes ahead of it.
        let (seconds, millis) = (number / 1_000, number % 1_000);
        json!({
            "specversion": "1.0", "id": format!("erasable-{number}"), "source": format!("/engines/{feed}"), "type": kind,
            "subject": self.user, "time": format!("2026-01-21T12:{:02}:{:02}.{millis:03}Z", seconds / 60, seconds % 60),
            "data": data,
        })
    }

    /// Sends a request. The outcome is in doubt until the caller has understood the answer; 503 leaves it in doubt.
    fn try_to(&mut self, action: Action, send: impl FnOnce(&Self) -> io::Result<Response>) -> io::Result<Response> {
        self.in_doubt = Some(action);
        let answer = send(self)?;
        assert!(matches!(answer.status, 200 | 202 | 204 | 503), "{action:?} of {}: {answer:?}", self.user);
        Ok(answer)
    }
}

/// Returns the revision of an event that was applied; `None` if it must be sent again.
fn applied(answer: &Response) -> Option<u64> {
    if answer.status == 503 {
        return None;
    }
    let result = &answer.json()["results"][0];
    assert_eq!((answer.status, &result["status"]), (200, &json!("applied")), "{answer:?}");
    result["revision"].as_u64()
}

impl Api {
    fn read(&mut self, user: &str) -> io::Result<Response> {
        self.admin.get_with_reason(&format!("/api/v2/profile/{user}"), "a test")
    }

    fn delete(&mut self, user: &str, tail: &str) -> io::Result<Response> {
        let request = Request::new("DELETE", format!("/api/v2/profile/{user}{tail}"));
        self.admin.send(request.header("x-access-reason", "a test"))
    }

    fn post(&mut self, feed: &str, event: &Value) -> io::Result<Response> {
        self.feeder.post(&format!("/api/v2/feeds/{feed}"), "application/cloudevents+json", &event.to_string())
    }
}
