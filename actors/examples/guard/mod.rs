//! The operations of `make guard`, shared by the program that counts instructions and the one that counts memory.

pub(crate) mod chain;
mod columns;
pub(crate) mod live;
pub(crate) mod meter;
pub(crate) mod people;
mod stages;
mod stored;

use crate::ports::{population, rules};
use meter::Meter;

/// Counts all operations. Returns the bytes of each frame in the journal that an update has made.
///
/// # Errors
/// A thread could not be started, or the temporary directory of the store could not be used.
pub(crate) fn count(meter: &mut dyn Meter) -> std::io::Result<Vec<u64>> {
    let rules = rules();
    let people = people::people(&population(people::USERS), &rules);
    stages::count(meter, &people, &rules);
    columns::count(meter, &people, &rules);
    actix_rt::System::new().block_on(live::count(meter, &people))?;
    stored::count(meter, &people, &rules)
}
