//! Fills the server with users, or loads those that a kept data directory has.

use super::WarmScenario;
use super::phases::read_all;
use super::users::UserRequests;
use crate::population::Feeds;
use crate::report::ScenarioReport;
use crate::scenario::RunEnvironment;
use crate::scenario::feeding::{self, ALL_FEEDS};
use crate::server::Server;
use anyhow::{Context, Result, ensure};
use std::fs;
use std::rc::Rc;
use std::time::{Duration, Instant};

/// The file that says how many users a kept data directory has.
const FILLED: &str = "loadtest.users";
/// The file that has their order in the store, if `examples/fill_users.rs` has made the directory: their indexes, 4 bytes each,
/// little-endian.
const ORDER: &str = "loadtest.order";

impl WarmScenario {
    /// Posts the first events of every user. If the data directory has these users already, reads each of them once, so
    /// that the server holds all of them again.
    pub(super) async fn fill(
        &self,
        environment: &RunEnvironment,
        server: &Server,
        feeds: Feeds,
        report: &mut ScenarioReport,
    ) -> Result<Rc<Feeds>> {
        let (marker, feeds) = (server.data_dir().join(FILLED), Rc::new(feeds));
        if let Ok(users) = fs::read_to_string(&marker) {
            ensure!(
                users == self.users.to_string(),
                "`{}` has {users} users and not {}: give its number of users, or remove it",
                self.data_dir,
                self.users
            );
            environment.progress.step(format!("warm: reading {users} users of `{}`", self.data_dir));
            let requests = UserRequests::new(feeds.clone(), server)?.in_order(self.order(server)?);
            let start = Instant::now();
            read_all(server, &requests, 0..self.users).await?;
            report.figure("  read once, in", start.elapsed().as_secs_f64(), "s");
            return Ok(feeds);
        }
        environment.progress.step(format!("warm: posting the events of {} users", self.users));
        let token = server.token("svc:loadtest", "service", ALL_FEEDS)?;
        let limit = Duration::from_secs(self.fill_s);
        let fed = feeding::feed(server.listen(), &token, feeds.clone(), limit, |acknowledged| {
            environment.progress.show(|| format!("warm: {acknowledged} events acknowledged"));
        })
        .await?;
        let (sent, acknowledged) = (fed.sent, fed.tally.acknowledged());
        let rejection = fed.first_rejection.unwrap_or_default();
        ensure!(sent == acknowledged, "of {sent} events {acknowledged} were acknowledged: {rejection}");
        ensure!(fed.took < limit, "the fill was cut off after {} s: raise `fill_s`", self.fill_s);
        fs::write(&marker, self.users.to_string()).context("could not mark the data directory as filled")?;
        report.figure("  posted in", fed.took.as_secs_f64(), "s");
        report.figure("  events", sent as f64, "");
        Ok(feeds)
    }

    /// Returns the indexes of all users in the order of the store; empty if that is not known.
    fn order(&self, server: &Server) -> Result<Vec<u32>> {
        let path = server.data_dir().join(ORDER);
        if !path.exists() {
            return Ok(Vec::new());
        }
        let bytes = fs::read(&path).with_context(|| format!("could not read `{}`", path.display()))?;
        let (indexes, rest) = bytes.as_chunks();
        ensure!(
            rest.is_empty() && indexes.len() as u64 == self.users,
            "`{}` is not the order of {} users: remove it",
            path.display(),
            self.users
        );
        Ok(indexes.iter().map(|index| u32::from_le_bytes(*index)).collect())
    }
}
