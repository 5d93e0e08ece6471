//! The limit of open files of the process, and the number of connections that it allows.

use std::io;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::admission::ConnectionLimits;
use super::listener::ACCEPTED_BEYOND_LIMIT;

/// Maximum number of connections of the admin listener.
pub(crate) const ADMIN_CONNECTIONS: usize = 32;
/// Descriptors kept free for segments of the journal, sled, checkpoints, configuration files and name look-ups.
const RESERVED: usize = 64;
/// Descriptors of one server thread, for its event queue and wakers, with some to spare.
const PER_THREAD: usize = 4;
/// Number of open descriptors that is assumed if the system does not tell it.
const TYPICALLY_OPEN: usize = 128;
/// Minimum number of connections without which the server does not start.
const MIN_CONNECTIONS: usize = 8;

/// The limit of open files does not leave room for connections.
#[derive(Debug, thiserror::Error)]
#[error("the limit of {limit} open files leaves no room for connections: raise it with `ulimit -n {needed}` or more")]
pub struct TooFewDescriptors {
    limit: usize,
    needed: usize,
}

/// Raises the soft limit of open files to the hard one. Most systems give a process 1,024 unless it asks for more.
///
/// # Errors
/// The operating system refuses it.
pub(crate) fn raise_limit() -> io::Result<()> {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current == maximum {
        return Ok(());
    }
    Ok(setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum })?)
}

/// Returns the limits of the public listener: those of `settings`, or lower ones if the limit of open files requires
/// it, which is logged. Descriptors that are open now are counted, so the store must be open. `other_files` is the
/// number of files that handlers may open.
///
/// # Errors
/// The limit of open files leaves no room for connections.
pub(crate) fn public_limits(
    settings: &config::Http,
    other_files: usize,
) -> Result<ConnectionLimits, TooFewDescriptors> {
    let wanted = ConnectionLimits {
        connections: settings.max_connections,
        per_address: Some(settings.max_connections_per_address).filter(|max| *max > 0),
    };
    let Some(limit) = getrlimit(Resource::Nofile).current else { return Ok(wanted) };
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let others = open_now() + of_listeners(settings.workers) + other_files + RESERVED;
    let room = limit.saturating_sub(others);
    if room < MIN_CONNECTIONS {
        return Err(TooFewDescriptors { limit, needed: others + MIN_CONNECTIONS });
    }
    if room >= wanted.connections {
        return Ok(wanted);
    }
    tracing::warn!(
        "`http.max_connections` = {} is lowered to {room}, and `http.max_connections_per_address` in proportion: the \
         process may open {limit} files (`ulimit -n`)",
        wanted.connections
    );
    Ok(lowered(wanted, room))
}

/// Lowers the number of connections to `connections`, and that of one address in proportion.
fn lowered(wanted: ConnectionLimits, connections: usize) -> ConnectionLimits {
    let share = |max: usize| (max.saturating_mul(connections) / wanted.connections).max(1);
    ConnectionLimits { connections, per_address: wanted.per_address.map(share) }
}

/// Returns the number of descriptors that both listeners will use, without the connections of the public one.
fn of_listeners(workers: usize) -> usize {
    // Each listener has a thread that accepts connections, and the admin listener has one worker.
    let threads = workers + 1 + 2;
    threads * PER_THREAD + (workers + 1) * ACCEPTED_BEYOND_LIMIT + ADMIN_CONNECTIONS
}

fn open_now() -> usize {
    std::fs::read_dir("/proc/self/fd").map_or(TYPICALLY_OPEN, Iterator::count)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_address_keeps_its_share_of_fewer_connections() {
        for (max, share) in [(4_096, Some(200)), (16_384, Some(800)), (1, Some(1))] {
            let wanted = ConnectionLimits { connections: 16_384, per_address: Some(max) };
            assert_eq!(lowered(wanted, 800).per_address, share, "{max}");
        }
        let unbounded = lowered(ConnectionLimits { connections: 16_384, per_address: None }, 800);
        assert_eq!((unbounded.connections, unbounded.per_address), (800, None));
    }
}
