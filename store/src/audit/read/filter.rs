//! Whether a line fits a query.

use domain::port::audit::AuditActor;
use domain::port::audit_trail::AuditQuery;
use memchr::memmem;

use crate::audit::entry_text::actor_text;
use crate::audit::keys::{AuditKeys, SubjectHash};
use crate::audit::parsed_line::ParsedLine;

/// The filters of a query, as lines have their values.
pub(super) struct Filter {
    pub(super) subject: Option<SubjectHash>,
    subject_text: Option<String>,
    actor: Option<String>,
    action: Option<String>,
    times: (i64, i64),
    /// Members as they stand in a line that fits, to pass over most others without parsing them.
    members: Vec<String>,
}

impl Filter {
    pub(super) fn new(query: &AuditQuery, keys: &AuditKeys) -> Self {
        let subject = query.subject.map(|user| keys.subject_hash(&user));
        let subject_text = subject.map(SubjectHash::to_hex);
        let actor = query.actor.as_ref().map(|actor: &AuditActor| actor_text(actor, keys));
        let member = |name: &str, value: &Option<String>| value.as_ref().map(|value| member_text(name, value));
        let members = [member("subject", &subject_text), member("actor", &actor), member("action", &query.action)];
        Self {
            subject,
            subject_text,
            actor,
            action: query.action.clone(),
            times: (query.from.unwrap_or(i64::MIN), query.until.unwrap_or(i64::MAX)),
            members: members.into_iter().flatten().collect(),
        }
    }

    /// Returns whether some entry between two times may fit.
    pub(super) fn may_fit_times(&self, (first, last): (i64, i64)) -> bool {
        first < self.times.1 && last >= self.times.0
    }

    /// Returns whether a line may fit, by its bytes.
    pub(super) fn may_fit(&self, line: &[u8]) -> bool {
        self.members.iter().all(|member| memmem::find(line, member.as_bytes()).is_some())
    }

    /// Returns whether an entry fits.
    pub(super) fn fits(&self, line: &ParsedLine<'_>) -> bool {
        let is_same =
            |wanted: &Option<String>, found: Option<&str>| wanted.as_deref().is_none_or(|wanted| found == Some(wanted));
        is_same(&self.subject_text, line.subject.as_deref())
            && is_same(&self.actor, Some(&line.actor))
            && is_same(&self.action, Some(&line.action))
            && (self.times.0..self.times.1).contains(&line.time)
    }
}

/// Returns a member as it stands in a line.
fn member_text(name: &str, value: &str) -> String {
    let mut text = format!("\"{name}\":");
    domain::canonical::write_string(&mut text, value);
    text
}
