//! Tickets that were issued and not redeemed yet.
//!
//! A page cannot send the header `Authorization` with a WebSocket handshake. So it requests a ticket with that header,
//! and opens one socket with the ticket. Each caller's tickets are listed by age and not only counted as in
//! `keyed_counts`: when a caller has too many, the oldest is revoked and the new one issued.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use domain::port::clock::Entropy;
use parking_lot::Mutex;
use sha2::{Digest, Sha256};

use super::caller::Caller;
use super::justification::Justification;

/// Number of random bytes in a ticket, which make it impossible to guess.
const TICKET_BYTES: usize = 32;

/// The SHA-256 of a ticket. The time of a look-up reveals nothing about a valid ticket: it depends on the hash, and
/// nobody can choose a ticket whose hash resembles that of a valid one.
type TicketHash = [u8; 32];

/// The outstanding tickets of all callers. Only hashes of their texts are stored.
pub(crate) struct Tickets {
    entropy: Arc<dyn Entropy>,
    lifetime: Duration,
    max_per_caller: usize,
    max_tickets: usize,
    table: Mutex<TicketTable>,
}

#[derive(Default)]
struct TicketTable {
    by_hash: HashMap<TicketHash, Outstanding>,
    /// Expiry times by number, which is their order: all tickets have the same lifetime.
    by_expiry: BTreeMap<u64, (Instant, TicketHash)>,
    /// The tickets of each caller, the oldest first.
    by_caller: HashMap<String, VecDeque<TicketHash>>,
    /// Number of tickets issued so far, which numbers them.
    issued: u64,
}

/// A ticket that was not redeemed yet, and its number.
struct Outstanding {
    number: u64,
    ticket: Ticket,
}

/// What a ticket stands for.
pub(crate) struct Ticket {
    /// The caller that requested it.
    pub(crate) caller: Arc<Caller>,
    /// The reason that an administrator gave, which the handshake of a page cannot carry.
    pub(crate) justification: Justification,
    /// The origin of the page that requested it; `None` if no page did.
    pub(crate) origin: Option<String>,
}

/// The maximum number of tickets is outstanding.
#[derive(Debug)]
pub(crate) struct TooManyTickets;

impl Tickets {
    /// Returns an empty table with the lifetime and the bounds of `settings`.
    pub(crate) fn new(settings: &config::Live, entropy: Arc<dyn Entropy>) -> Self {
        Self {
            entropy,
            lifetime: settings.ticket_life,
            max_per_caller: settings.max_tickets_per_caller,
            max_tickets: settings.max_tickets,
            table: Mutex::default(),
        }
    }

    /// Issues a ticket and returns its text. If the caller has the maximum number already, its oldest ticket is
    /// revoked.
    ///
    /// # Errors
    /// All callers together have the maximum number of tickets.
    pub(crate) fn issue(&self, ticket: Ticket) -> Result<String, TooManyTickets> {
        let mut random = [0; TICKET_BYTES];
        self.entropy.fill(&mut random);
        let text = URL_SAFE_NO_PAD.encode(random);
        let now = Instant::now();
        let mut table = self.table.lock();
        table.sweep(now);
        let caller = ticket.caller.subject();
        if table.by_caller.get(caller).is_some_and(|tickets| tickets.len() >= self.max_per_caller) {
            table.revoke_oldest(caller);
        }
        if table.by_hash.len() >= self.max_tickets {
            return Err(TooManyTickets);
        }
        table.add(now + self.lifetime, hash(&text), ticket);
        Ok(text)
    }

    /// Redeems a ticket, which is used up by this; `None` if no such ticket is outstanding.
    pub(crate) fn redeem(&self, text: &str) -> Option<Ticket> {
        let hash = hash(text);
        let mut table = self.table.lock();
        table.sweep(Instant::now());
        table.take(&hash)
    }

    /// Revokes all tickets of a caller.
    pub(crate) fn revoke_all(&self, subject: &str) {
        let mut table = self.table.lock();
        while table.by_caller.contains_key(subject) {
            table.revoke_oldest(subject);
        }
    }

    /// Removes expired tickets.
    pub(crate) fn sweep(&self) {
        self.table.lock().sweep(Instant::now());
    }
}

impl TicketTable {
    fn add(&mut self, expires_at: Instant, hash: TicketHash, ticket: Ticket) {
        self.issued += 1;
        self.by_expiry.insert(self.issued, (expires_at, hash));
        self.by_caller.entry(ticket.caller.subject().to_string()).or_default().push_back(hash);
        self.by_hash.insert(hash, Outstanding { number: self.issued, ticket });
    }

    fn take(&mut self, hash: &TicketHash) -> Option<Ticket> {
        let Outstanding { number, ticket } = self.by_hash.remove(hash)?;
        self.by_expiry.remove(&number);
        let caller = ticket.caller.subject();
        if let Some(tickets) = self.by_caller.get_mut(caller) {
            tickets.retain(|other| other != hash);
            if tickets.is_empty() {
                self.by_caller.remove(caller);
            }
        }
        Some(ticket)
    }

    fn revoke_oldest(&mut self, caller: &str) {
        if let Some(hash) = self.by_caller.get(caller).and_then(VecDeque::front).copied() {
            self.take(&hash);
        }
    }

    fn sweep(&mut self, now: Instant) {
        let expired = |table: &Self| {
            let (_, (expires_at, hash)) = table.by_expiry.first_key_value()?;
            (*expires_at <= now).then_some(*hash)
        };
        while let Some(hash) = expired(self) {
            self.take(&hash);
        }
    }

    #[cfg(test)]
    fn is_empty(&self) -> bool {
        self.by_hash.is_empty() && self.by_expiry.is_empty() && self.by_caller.is_empty()
    }
}

fn hash(text: &str) -> TicketHash {
    Sha256::digest(text).into()
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU8, Ordering};

    use super::*;

    /// Returns bytes that differ from call to call.
    struct Counting(AtomicU8);

    impl Entropy for Counting {
        fn fill(&self, bytes: &mut [u8]) {
            bytes.fill(self.0.fetch_add(1, Ordering::Relaxed));
        }
    }

    fn tickets(lifetime: Duration) -> Tickets {
        let entropy = Arc::new(Counting(AtomicU8::new(0)));
        Tickets { entropy, lifetime, max_per_caller: 2, max_tickets: 5, table: Mutex::default() }
    }

    fn ticket_of(subject: &str) -> Ticket {
        Ticket { caller: Caller::for_tests(subject), justification: Justification::default(), origin: None }
    }

    const LONG: Duration = Duration::from_secs(3_600);

    #[test]
    fn a_ticket_has_256_bits_and_is_redeemed_once() {
        let tickets = tickets(LONG);
        let text = tickets.issue(ticket_of("svc:a")).expect("a ticket");
        assert_eq!(URL_SAFE_NO_PAD.decode(&text).map(|bytes| bytes.len()), Ok(32));
        assert!(tickets.redeem(&format!("{text}A")).is_none());
        assert!(tickets.redeem(&text).is_some_and(|ticket| ticket.caller.subject() == "svc:a"));
        assert!(tickets.redeem(&text).is_none());
        assert!(tickets.table.lock().is_empty());
    }

    #[test]
    fn only_the_oldest_ticket_of_the_same_caller_is_revoked() {
        let tickets = tickets(LONG);
        let [first, second, other, third] =
            ["svc:a", "svc:a", "svc:b", "svc:a"].map(|caller| tickets.issue(ticket_of(caller)).expect("a ticket"));
        assert!(tickets.redeem(&first).is_none());
        assert!([second, other, third].iter().all(|text| tickets.redeem(text).is_some()));
    }

    #[test]
    fn one_caller_cannot_use_up_the_tickets_of_all() {
        let tickets = tickets(LONG);
        for _ in 0..100 {
            tickets.issue(ticket_of("svc:greedy")).expect("a ticket");
        }
        let texts = ["svc:a", "svc:b", "svc:c"].map(|caller| tickets.issue(ticket_of(caller)).expect("a ticket"));
        assert!(tickets.issue(ticket_of("svc:late")).is_err());
        assert!(tickets.redeem(&texts[0]).is_some());
        assert!(tickets.issue(ticket_of("svc:late")).is_ok());
    }

    #[test]
    fn all_tickets_of_one_caller_are_revoked_and_no_others() {
        let tickets = tickets(LONG);
        let [first, second, other] =
            ["usr_a", "usr_a", "svc:b"].map(|caller| tickets.issue(ticket_of(caller)).expect("a ticket"));
        tickets.revoke_all("usr_a");
        tickets.revoke_all("usr_a");
        assert!(tickets.redeem(&first).is_none() && tickets.redeem(&second).is_none());
        assert!(tickets.redeem(&other).is_some() && tickets.table.lock().is_empty());
    }

    #[test]
    fn expired_tickets_take_no_memory() {
        let tickets = tickets(Duration::ZERO);
        let text = tickets.issue(ticket_of("svc:a")).expect("a ticket");
        assert!(tickets.redeem(&text).is_none());
        tickets.issue(ticket_of("svc:a")).expect("a ticket");
        tickets.sweep();
        assert!(tickets.table.lock().is_empty());
    }
}
