//! Tickets that were not used yet. A page cannot send the header `Authorization` with a handshake, so it buys a ticket
//! with it, and the ticket opens one socket.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use domain::port::clock::Entropy;
use parking_lot::Mutex;
use sha2::{Digest, Sha256};

use crate::http::request::access_reason::AccessReason;
use crate::http::request::caller::Caller;

/// Random bytes of a ticket: nobody guesses one in its short life.
const BYTES: usize = 32;

/// A ticket's SHA-256. To look one up tells nothing of it by the time it takes: what is compared is a hash, which nobody
/// can steer towards one that is there.
type Hash = [u8; 32];

/// The outstanding tickets. The tickets themselves are not kept, only their hashes.
pub(crate) struct Tickets {
    entropy: Arc<dyn Entropy>,
    life: Duration,
    most_per_caller: usize,
    most: usize,
    table: Mutex<TicketTable>,
}

#[derive(Default)]
struct TicketTable {
    by_hash: HashMap<Hash, Outstanding>,
    /// By number, which is the order of their ends, since all live equally long.
    by_end: BTreeMap<u64, (Instant, Hash)>,
    /// Each caller's, the oldest first.
    by_caller: HashMap<String, VecDeque<Hash>>,
    issued: u64,
}

struct Outstanding {
    number: u64,
    ticket: Ticket,
}

/// Whom a ticket lets in.
pub(super) struct Ticket {
    pub(super) caller: Arc<Caller>,
    /// Why an administrator looks: a handshake of a page cannot say it.
    pub(super) reason: AccessReason,
    /// The origin of the page that bought it, if a page did.
    pub(super) origin: Option<String>,
}

/// As many tickets are outstanding as there may be.
#[derive(Debug)]
pub(super) struct TooManyTickets;

impl Tickets {
    /// No ticket yet. Bounds and life as `settings` say.
    pub(crate) fn new(settings: &config::Live, entropy: Arc<dyn Entropy>) -> Self {
        Self {
            entropy,
            life: settings.ticket_life,
            most_per_caller: settings.max_tickets_per_caller,
            most: settings.max_tickets,
            table: Mutex::default(),
        }
    }

    /// A new ticket. Of a caller who has as many as one may, the oldest is void from now on.
    pub(super) fn issue(&self, ticket: Ticket) -> Result<String, TooManyTickets> {
        let mut random = [0; BYTES];
        self.entropy.fill(&mut random);
        let text = URL_SAFE_NO_PAD.encode(random);
        let now = Instant::now();
        let mut table = self.table.lock();
        table.sweep(now);
        let caller = &ticket.caller.subject;
        if table.by_caller.get(caller).is_some_and(|tickets| tickets.len() >= self.most_per_caller) {
            table.drop_oldest_of(caller);
        }
        if table.by_hash.len() >= self.most {
            return Err(TooManyTickets);
        }
        table.add(now + self.life, hash(&text), ticket);
        Ok(text)
    }

    /// Takes a ticket: whatever comes of it, it is spent.
    pub(super) fn redeem(&self, text: &str) -> Option<Ticket> {
        let hash = hash(text);
        let mut table = self.table.lock();
        table.sweep(Instant::now());
        table.take(&hash)
    }

    /// Forgets those that have expired.
    pub(crate) fn sweep(&self) {
        self.table.lock().sweep(Instant::now());
    }
}

impl TicketTable {
    fn add(&mut self, end: Instant, hash: Hash, ticket: Ticket) {
        self.issued += 1;
        self.by_end.insert(self.issued, (end, hash));
        self.by_caller.entry(ticket.caller.subject.clone()).or_default().push_back(hash);
        self.by_hash.insert(hash, Outstanding { number: self.issued, ticket });
    }

    fn take(&mut self, hash: &Hash) -> Option<Ticket> {
        let Outstanding { number, ticket } = self.by_hash.remove(hash)?;
        self.by_end.remove(&number);
        let caller = &ticket.caller.subject;
        if let Some(tickets) = self.by_caller.get_mut(caller) {
            tickets.retain(|table| table != hash);
            if tickets.is_empty() {
                self.by_caller.remove(caller);
            }
        }
        Some(ticket)
    }

    fn drop_oldest_of(&mut self, caller: &str) {
        if let Some(hash) = self.by_caller.get(caller).and_then(VecDeque::front).copied() {
            self.take(&hash);
        }
    }

    fn sweep(&mut self, now: Instant) {
        while let Some((_, hash)) =
            self.by_end.first_key_value().map(|(_, table)| *table).filter(|(end, _)| *end <= now)
        {
            self.take(&hash);
        }
    }

    #[cfg(test)]
    fn is_empty(&self) -> bool {
        self.by_hash.is_empty() && self.by_end.is_empty() && self.by_caller.is_empty()
    }
}

fn hash(text: &str) -> Hash {
    Sha256::digest(text).into()
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU8, Ordering};

    use domain::access::Viewer;

    use super::*;
    use crate::http::request::caller::Role;

    /// Bytes that differ from call to call.
    struct Counting(AtomicU8);

    impl Entropy for Counting {
        fn fill(&self, bytes: &mut [u8]) {
            bytes.fill(self.0.fetch_add(1, Ordering::Relaxed));
        }
    }

    fn tickets(life: Duration) -> Tickets {
        let entropy = Arc::new(Counting(AtomicU8::new(0)));
        Tickets { entropy, life, most_per_caller: 2, most: 5, table: Mutex::default() }
    }

    fn of(subject: &str) -> Ticket {
        let caller = Caller {
            subject: subject.to_owned(),
            role: Role::Auditor,
            viewer: Viewer::Auditor,
            feeds: Vec::new(),
            live_many: false,
            events_read: false,
            ends_at: i64::MAX,
        };
        Ticket { caller: Arc::new(caller), reason: AccessReason::none(), origin: None }
    }

    const LONG: Duration = Duration::from_secs(3_600);

    #[test]
    fn a_ticket_has_256_bits_and_is_good_once() {
        let tickets = tickets(LONG);
        let text = tickets.issue(of("svc:a")).expect("a ticket");
        assert_eq!(URL_SAFE_NO_PAD.decode(&text).map(|bytes| bytes.len()), Ok(32));
        assert!(tickets.redeem(&format!("{text}A")).is_none());
        assert!(tickets.redeem(&text).is_some_and(|ticket| ticket.caller.subject == "svc:a"));
        assert!(tickets.redeem(&text).is_none());
        assert!(tickets.table.lock().is_empty());
    }

    #[test]
    fn the_oldest_of_a_caller_goes_first_and_nobody_elses() {
        let tickets = tickets(LONG);
        let [first, second, other, third] =
            ["svc:a", "svc:a", "svc:b", "svc:a"].map(|caller| tickets.issue(of(caller)).expect("a ticket"));
        assert!(tickets.redeem(&first).is_none());
        assert!([second, other, third].iter().all(|text| tickets.redeem(text).is_some()));
    }

    #[test]
    fn no_caller_can_use_up_what_there_is_for_all() {
        let tickets = tickets(LONG);
        for _ in 0..100 {
            tickets.issue(of("svc:greedy")).expect("a ticket");
        }
        let texts = ["svc:a", "svc:b", "svc:c"].map(|caller| tickets.issue(of(caller)).expect("a ticket"));
        assert!(tickets.issue(of("svc:late")).is_err());
        assert!(tickets.redeem(&texts[0]).is_some());
        assert!(tickets.issue(of("svc:late")).is_ok());
    }

    #[test]
    fn nothing_is_left_of_expired_ones() {
        let tickets = tickets(Duration::ZERO);
        let text = tickets.issue(of("svc:a")).expect("a ticket");
        assert!(tickets.redeem(&text).is_none());
        tickets.issue(of("svc:a")).expect("a ticket");
        tickets.sweep();
        assert!(tickets.table.lock().is_empty());
    }
}
