//! Validation of a request, and its canonical form.

use std::fmt::Write as _;

use super::{ExportFilter, ExportMode, ExportRequest};
use crate::event::check::{self, Members};
use crate::event::shape::Shape;
use crate::event::{EventFault, EventProblem, Location};
use crate::export::{ColumnRole, ColumnSet, ColumnType, ExportColumn, ExportRules, MIN_K};
use crate::json::{self, Json};
use crate::port::table::TableFormat;
use crate::rules::Rules;
use crate::table::{Leaf, ValueType};

/// Maximum nesting depth of a request.
const DEPTH: usize = 4;
/// The greatest k of a request.
const MAX_K: i64 = 1_000_000;
/// The greatest l of a request: the sensitive columns have no more values.
const MAX_L: i64 = 64;
/// The columns that groups of an aggregate are made of, if its request names no columns: at most 64 states with those that are
/// missing and unknown, and few ages and genders.
const DEFAULT_GROUPS: [ExportColumn; 3] = [ExportColumn::AgeBracket, ExportColumn::Gender, ExportColumn::State];
const MEMBERS: [&str; 7] = ["format", "mode", "filter", "columns", "k", "l", "epsilon"];
const CONDITIONS: [&str; 6] = ["state", "district", "income_bracket", "scheme_id", "cohort_tag", "min_completeness"];

impl ExportRequest {
    /// Validates the body of a request.
    ///
    /// # Errors
    /// Every fault that was found, at least one, each with its position. None repeats a value.
    pub fn parse(body: &[u8], rules: &Rules, export_rules: &ExportRules) -> Result<Self, Vec<EventFault>> {
        let body = json::parse(body, DEPTH).map_err(|error| vec![EventFault::from_json(error)])?;
        let members = check::object(&body, &Location::ROOT).map_err(|fault| vec![fault])?;
        let mut reader = Reader { rules, export_rules, faults: Vec::new() };
        let request = reader.request(members);
        match request {
            Some(request) if reader.faults.is_empty() => Ok(request),
            _ => Err(reader.faults),
        }
    }

    /// Returns the canonical form: the same for all requests that ask for the same. [`Self::parse`] reads it.
    #[must_use]
    pub fn canonical(&self) -> String {
        let names = self.columns.iter().map(|column| format!("\"{}\"", column.name())).collect::<Vec<_>>();
        let mut out = format!("{{\"columns\":[{}]", names.join(","));
        if let Some(epsilon) = self.micro_epsilon {
            let _ = write!(out, ",\"epsilon\":{}", micro_to_text(epsilon));
        }
        let filter = self.filter.canonical();
        let (format, mode) = (self.format.name(), self.mode.name());
        let _ = write!(out, ",\"filter\":{filter},\"format\":\"{format}\",\"k\":{},\"l\":{}", self.k, self.l);
        let _ = write!(out, ",\"mode\":\"{mode}\"}}");
        out
    }
}

/// Returns millionths as a decimal number without zeros at the end.
pub(crate) fn micro_to_text(micro: u32) -> String {
    let text = format!("{}.{:06}", micro / 1_000_000, micro % 1_000_000);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// Reads a request and keeps its faults.
struct Reader<'r> {
    rules: &'r Rules,
    export_rules: &'r ExportRules,
    faults: Vec<EventFault>,
}

impl Reader<'_> {
    fn request(&mut self, members: &Members<'_>) -> Option<ExportRequest> {
        let root = &Location::ROOT;
        self.known(members, &MEMBERS, root);
        let find = |name: &str| members.iter().find(|(own, _)| own == name).map(|(_, value)| value);
        let format = self.word(find("format"), "format", TableFormat::parse, TableFormat::ALL.map(TableFormat::name));
        let mode = self.word(find("mode"), "mode", ExportMode::parse, ExportMode::ALL.map(ExportMode::name));
        let mode = mode.unwrap_or(ExportMode::Records);
        let filter =
            find("filter").map_or_else(ExportFilter::default, |value| self.filter(value, &root.member("filter")));
        let columns = self.columns(find("columns"), mode, &root.member("columns"));
        let defaults = self.export_rules.privacy;
        let k = self.integer(find("k"), (i64::from(MIN_K), MAX_K), &root.member("k"));
        let l = self.integer(find("l"), (1, MAX_L), &root.member("l"));
        let micro_epsilon = self.epsilon(find("epsilon"), mode, &root.member("epsilon"));
        Some(ExportRequest {
            format: format.unwrap_or(TableFormat::Parquet),
            mode,
            filter,
            columns: columns?,
            k: k.map_or(defaults.k, |k| k as u32),
            l: l.map_or(defaults.l, |l| l as u32),
            micro_epsilon,
        })
    }

    fn fault(&mut self, problem: EventProblem, at: &Location<'_>, detail: impl Into<std::borrow::Cow<'static, str>>) {
        self.faults.push(EventFault::new(problem, at, detail));
    }

    fn known(&mut self, members: &Members<'_>, names: &[&str], at: &Location<'_>) {
        // One is enough: there could be any number of them.
        if let Some((name, _)) = members.iter().find(|(name, _)| !names.contains(&name.as_ref())) {
            let detail = format!("is unknown; allowed: {}", names.join(", "));
            self.fault(EventProblem::UnknownMember, &at.member(name), detail);
        }
    }

    /// Reads a word; without one, or after a fault, the caller takes the default.
    fn word<T, const N: usize>(
        &mut self,
        value: Option<&Json<'_>>,
        name: &str,
        parse: impl Fn(&str) -> Option<T>,
        names: [&str; N],
    ) -> Option<T> {
        let at = Location::ROOT.member(name);
        let text = check::string(value?, &at).map_err(|fault| self.faults.push(fault)).ok()?;
        let parsed = parse(text);
        if parsed.is_none() {
            self.fault(EventProblem::UnknownValue, &at, format!("must be one of `{}`", names.join("`, `")));
        }
        parsed
    }

    fn integer(&mut self, value: Option<&Json<'_>>, (min, max): (i64, i64), at: &Location<'_>) -> Option<i64> {
        let number = value?.as_i64();
        if number.is_none() {
            self.fault(EventProblem::WrongType, at, "must be an integer");
        }
        let number = number?;
        if !(min..=max).contains(&number) {
            self.fault(EventProblem::OutOfRange, at, format!("must be an integer from {min} to {max}"));
        }
        Some(number)
    }

    fn epsilon(&mut self, value: Option<&Json<'_>>, mode: ExportMode, at: &Location<'_>) -> Option<u32> {
        let budget = self.export_rules.budget;
        let (min, max) = (micro_to_text(budget.min_per_job), micro_to_text(budget.max_per_job));
        match (mode, value) {
            (ExportMode::Records, None) => None,
            (ExportMode::Records, Some(_)) => {
                self.fault(EventProblem::UnknownMember, at, "is for the mode `aggregate` only");
                None
            }
            (ExportMode::Aggregate, None) => {
                let detail = format!("must be there in the mode `aggregate`: a number from {min} to {max}");
                self.fault(EventProblem::MissingMember, at, detail);
                None
            }
            (ExportMode::Aggregate, Some(value)) => {
                let micro = value.as_f64().and_then(to_micro);
                let micro = micro.filter(|micro| (budget.min_per_job..=budget.max_per_job).contains(micro));
                if micro.is_none() {
                    let detail = format!("must be a number from {min} to {max} with at most six decimals");
                    let problem =
                        if value.as_f64().is_some() { EventProblem::OutOfRange } else { EventProblem::WrongType };
                    self.fault(problem, at, detail);
                }
                micro
            }
        }
    }

    /// Reads the columns; the default of the mode if none are named.
    fn columns(&mut self, value: Option<&Json<'_>>, mode: ExportMode, at: &Location<'_>) -> Option<ColumnSet> {
        let own = |column: &ExportColumn| self.is_offered(*column, mode);
        let offered: Vec<_> = ExportColumn::ALL.into_iter().filter(own).collect();
        let mut columns = ColumnSet::default();
        let Some(value) = value else { return self.default_columns(&offered, mode, at) };
        let Some(items) = value.as_array() else {
            self.fault(EventProblem::WrongType, at, "must be an array of column names");
            return None;
        };
        if items.is_empty() || items.len() > ExportColumn::COUNT {
            self.fault(EventProblem::OutOfRange, at, format!("must have from 1 to {} items", ExportColumn::COUNT));
            return None;
        }
        for (index, item) in items.iter().enumerate() {
            let at = at.index(index);
            match item.as_str().and_then(ExportColumn::parse).filter(|column| offered.contains(column)) {
                Some(column) if columns.has(column) => self.fault(EventProblem::DuplicateItem, &at, "is named twice"),
                Some(column) => columns.insert(column),
                None => {
                    let names: Vec<_> = offered.iter().map(|column| column.name()).collect();
                    let detail = format!("must be a column for the mode `{}`: {}", mode.name(), names.join(", "));
                    self.fault(EventProblem::UnknownValue, &at, detail);
                }
            }
        }
        Some(self.with_key(columns, mode))
    }

    /// Returns the columns of a request that names none: of records all, and of aggregates everything that is measured, in groups
    /// of few values, so that there are not too many of them.
    fn default_columns(&mut self, offered: &[ExportColumn], mode: ExportMode, at: &Location<'_>) -> Option<ColumnSet> {
        let is_default = |column: &ExportColumn| match self.export_rules.role(*column) {
            ColumnRole::QuasiIdentifier(_) => mode == ExportMode::Records || DEFAULT_GROUPS.contains(column),
            _ => true,
        };
        let columns: ColumnSet = offered.iter().copied().filter(is_default).collect();
        if mode == ExportMode::Aggregate && columns.iter().next().is_none() {
            self.fault(EventProblem::MissingMember, at, "must be there: none of the default columns is allowed");
            return None;
        }
        Some(self.with_key(columns, mode))
    }

    fn with_key(&self, mut columns: ColumnSet, mode: ExportMode) -> ColumnSet {
        if mode == ExportMode::Records {
            columns.insert(ExportColumn::Pseudonym);
        }
        columns
    }

    fn is_offered(&self, column: ExportColumn, mode: ExportMode) -> bool {
        let is_allowed = self.export_rules.columns.has(column) || column == ExportColumn::Pseudonym;
        // Groups have no key of a row, and lists of tags are not aggregated. Which districts there are depends on who is in the
        // export, so groups by district would show that somebody is.
        let has_aggregate = column.role() != ColumnRole::Key
            && column.column_type() != ColumnType::Words
            && column != ExportColumn::District;
        is_allowed && (mode == ExportMode::Records || has_aggregate)
    }

    fn filter(&mut self, value: &Json<'_>, at: &Location<'_>) -> ExportFilter {
        let members = match check::object(value, at) {
            Ok(members) => members,
            Err(fault) => {
                self.faults.push(fault);
                return ExportFilter::default();
            }
        };
        self.known(members, &CONDITIONS, at);
        let brackets: &'static [&'static str] = match Leaf::EconomicIncomeBracket.field().value {
            ValueType::Enum(words) => words,
            _ => &[],
        };
        let filter = ExportFilter {
            state: self.text(members, "state", Shape::State, at),
            district: self.text(members, "district", Shape::Slug, at),
            income_bracket: self.text(members, "income_bracket", Shape::Word(brackets), at),
            scheme_id: self.text(members, "scheme_id", Shape::ItemId, at),
            cohort_tag: self.text(members, "cohort_tag", Shape::Text(|limits| limits.string_chars), at),
            min_completeness: {
                let value = members.iter().find(|(name, _)| name == "min_completeness").map(|(_, value)| value);
                self.integer(value, (0, 100), &at.member("min_completeness")).map(|pct| pct as u8)
            },
        };
        if filter.district.is_some() && filter.state.is_none() {
            let detail = "needs a `state`: districts of two states can have the same name";
            self.fault(EventProblem::MissingMember, &at.member("district"), detail);
        }
        filter
    }

    /// Reads a condition with the check that the values in profiles pass.
    fn text(&mut self, members: &Members<'_>, name: &str, shape: Shape, at: &Location<'_>) -> Option<String> {
        let (_, value) = members.iter().find(|(own, _)| own == name)?;
        let mut canonical = String::new();
        match check::write(shape, value, &at.member(name), self.rules, &mut canonical) {
            Ok(()) => value.as_str().map(str::to_owned),
            Err(fault) => {
                self.faults.push(fault);
                None
            }
        }
    }
}

/// Returns a number in millionths; `None` if it is negative, too great, or has more than six decimals.
fn to_micro(number: f64) -> Option<u32> {
    let micro = (number * 1e6).round();
    // Both are the double that is nearest to the same decimal number.
    ((0.0..=f64::from(u32::MAX)).contains(&micro) && micro / 1e6 == number).then_some(micro as u32)
}
