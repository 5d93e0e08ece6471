//! Columns: what analytics reads of each user, in one row of 64 bytes.
//!
//! A row is a pure function of a user's state and of the dictionaries, which turn words into codes. Exports read rows
//! instead of opening profiles, and so does everything else that looks at all users.
//!
//! | Column | Form |
//! |---|---|
//! | quasi-identifiers | a code each: [`Quasi`], and the district |
//! | application statuses | a bit for each status that occurs among the user's schemes |
//! | schemes | up to [`SCHEMES`], each with its status; [`Row::has_more_schemes`] says whether there are others |
//! | cohort tags | a bit for each tag of the dictionary |
//! | risk scores | hundredths |
//! | totals, counts, completeness | numbers |
//! | `analytics_opt_in` | [`Row::is_opted_in`] |
//! | generation and sequence | [`Row::version`]: which state the row was made of |

mod bytes;
mod code;
mod dictionary;
mod quasi;
mod row;
mod schemes;

pub use bytes::layout;
pub use dictionary::{Dictionaries, Dictionary, DictionaryKind, ReadFault};
pub use quasi::Quasi;
pub use row::{ABSENT_COUNT, ABSENT_SUM, Codes, INTEREST, ROW_BYTES, Risk, Row, Version};
pub use schemes::{SCHEMES, STATUSES, SchemeColumn, status_code};
