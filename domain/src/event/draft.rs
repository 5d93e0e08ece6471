//! An event's writes while its data is read. Faults are collected, so that an answer can name several.

use super::check::{self, Members};
use super::fault::MAX_REPORTED_FAULTS;
use super::shape::Shape;
use super::{EventFault, EventProblem, Location, RegisterPath, RegisterWrite};
use crate::canonical::CanonicalJson;
use crate::json::Json;
use crate::rules::Rules;
use crate::source::{Source, ValueKind};
use crate::table::{FIELDS, Leaf, LeafSet, Member, Owner};

/// Maximum number of faults that are kept of one event: one more than is reported, which shows that there are more.
const MAX_FAULTS: usize = MAX_REPORTED_FAULTS + 1;

/// The part of an event's data that has been read.
pub(crate) struct Draft<'r> {
    pub(crate) rules: &'r Rules,
    source: Source,
    kind: ValueKind,
    pub(crate) writes: Vec<RegisterWrite>,
    pub(crate) registration: bool,
    pub(crate) faults: Vec<EventFault>,
}

impl<'r> Draft<'r> {
    pub(crate) fn new(source: Source, kind: ValueKind, rules: &'r Rules) -> Self {
        Self { rules, source, kind, writes: Vec::with_capacity(4), registration: false, faults: Vec::new() }
    }

    /// Keeps a fault, to be reported with the others.
    pub(crate) fn fault(&mut self, fault: EventFault) {
        if self.faults.len() < MAX_FAULTS {
            self.faults.push(fault);
        }
    }

    /// Records the fault, if there is one.
    pub(crate) fn accept<T>(&mut self, result: Result<T, EventFault>) -> Option<T> {
        result.map_err(|fault| self.fault(fault)).ok()
    }

    /// Adds the fault that a member is missing.
    pub(crate) fn missing(&mut self, at: &Location<'_>, name: &'static str) {
        self.fault(EventFault::new(EventProblem::MissingMember, &at.member(name), "must be there"));
    }

    /// Adds the fault that a member cannot be written here: it is derived, it belongs to another source, or it is
    /// unknown.
    pub(crate) fn refuse(&mut self, name: &str, at: &Location<'_>) {
        let derived =
            |field: &&crate::table::Field| field.owner == Owner::Derived && (field.name == name || field.path == name);
        let fault = if name == "days_remaining" || FIELDS.iter().find(derived).is_some() {
            EventFault::new(EventProblem::DerivedMember, at, "is derived and cannot be sent")
        } else if Member::parse(name).is_some() {
            EventFault::new(EventProblem::NotOwner, at, "belongs to another source or another place of the event")
        } else {
            EventFault::new(EventProblem::UnknownMember, at, "is not a member of this object")
        };
        self.fault(fault);
    }

    /// Reads a register's whole value, or `null` to withdraw it.
    pub(crate) fn register(&mut self, path: RegisterPath, shape: Shape, value: &Json<'_>, at: &Location<'_>) {
        if *value == Json::Null {
            return self.withdraw(path);
        }
        let mut out = String::new();
        let written = check::write(shape, value, at, self.rules, &mut out);
        if self.accept(written).is_some() {
            self.write(path, CanonicalJson::from_canonical(out));
        }
    }

    /// Reads the value of a profile leaf.
    pub(crate) fn leaf(&mut self, leaf: Leaf, value: &Json<'_>, at: &Location<'_>) {
        match Shape::for_leaf(leaf) {
            Some(shape) => self.register(RegisterPath::Leaf(leaf), shape, value, at),
            None => self.refuse(leaf.field().name, at),
        }
    }

    /// Reads some leaves of a section: an object, or `null` to withdraw them all.
    pub(crate) fn section(&mut self, member: Member, writable: LeafSet, value: &Json<'_>, at: &Location<'_>) {
        if *value == Json::Null {
            return writable.iter().for_each(|leaf| self.withdraw(RegisterPath::Leaf(leaf)));
        }
        let Some(members) = self.accept(check::object(value, at)) else { return };
        for (name, value) in members {
            let here = at.member(name);
            match Leaf::in_member(member, name).filter(|leaf| writable.has(*leaf)) {
                Some(leaf) => self.leaf(leaf, value, &here),
                None => self.refuse(name, &here),
            }
        }
    }

    /// Adds a register's checked value.
    pub(crate) fn write(&mut self, path: RegisterPath, value: CanonicalJson) {
        self.writes.push(RegisterWrite { path, kind: self.kind, value: Some(value) });
    }

    /// Withdraws a path in every kind that the source may claim, so that no older claim of another kind comes back.
    pub(crate) fn withdraw(&mut self, path: RegisterPath) {
        for kind in self.source.kinds() {
            self.writes.push(RegisterWrite { path: path.clone(), kind: *kind, value: None });
        }
    }
}

/// Returns the leaves of a section that sources may write.
pub(crate) fn writable(member: Member) -> LeafSet {
    member.leaves().iter().filter(|leaf| leaf.field().owner != Owner::Derived).collect()
}

/// Returns the member of that name.
pub(crate) fn find<'v, 'j>(members: &'v Members<'j>, name: &str) -> Option<&'v Json<'j>> {
    members.iter().find(|(member, _)| member == name).map(|(_, value)| value)
}
