//! Exports of records: a row for each person, generalised.

use std::collections::BTreeMap;
use std::ops::Range;

use domain::columns::Row;
use domain::export::{
    ExportClaims, ExportColumn, ExportMode, ExportStage, Lattice, Node, PrivacyRequirement, RolledUpClasses,
    SearchError, column_losses, level_names, search,
};
use domain::port::table::TableSchema;
use kernels::{Pseudonym, PseudonymKey, Texts};
use rayon::prelude::*;

use super::classes::{self, Classes};
use super::coded::{self, CodedColumn};
use super::columns::{FileColumns, FileInput, common_tags};
use super::earlier::{self, NewExport};
use super::job_context::{JobEnd, NOT_PROTECTED};
use super::row_set::RowSet;
use super::rows::ExportRows;
use super::run::{Run, Written};

/// Rows that are written at once.
const WRITE_ROWS: usize = 128 << 10;
/// How often a file is written anew because people left while it was written.
const ATTEMPTS: usize = 4;

/// The rows that are written, and how.
struct Plan<'p> {
    lattice: &'p Lattice,
    node: Node,
    classes: &'p Classes,
    requirement: PrivacyRequirement,
    /// The key at the node of each selected row.
    keys: Vec<u64>,
    /// Whether each selected row is written.
    is_kept: Vec<bool>,
}

/// Writes the file of an export of records.
pub(super) fn write(run: &Run<'_>) -> Result<Written, JobEnd> {
    let job = run.job;
    job.stage(ExportStage::Scanning, 0)?;
    let filters: Vec<_> = std::iter::once(&run.request.filter).chain(run.earlier_filters()).collect();
    let rows = ExportRows::collect(run.columns, &filters, job)?;
    let selected = rows.select(&run.request.filter);
    if selected.len() < run.request.k as usize {
        // Nobody and too few people end at the same place: stages are shown to callers.
        return Err(NOT_PROTECTED);
    }

    job.stage(ExportStage::Grouping, selected.len() as u64)?;
    let (lattice, quasi) = coded::quasi_identifiers(run.request, run.rules, &rows, &selected)?;
    let sensitive = coded::sensitive_columns(run.request, run.rules, &rows);
    let sensitive_codes: Vec<&CodedColumn> = sensitive.iter().map(|(_, column)| column).collect();
    let classes = classes::count(&lattice, &quasi, &sensitive_codes, &selected, run.device, job)?;

    job.stage(ExportStage::Searching, 0)?;
    let requirement = run.request.requirement(run.rules.privacy.max_suppression_pct);
    let losses = column_losses(&lattice, &classes.table);
    let mut source = RolledUpClasses::new(&lattice, &classes.layout, classes.table.clone());
    source = source.rolled_up_by(classes::roll_up);
    let outcome = search(&lattice, &losses, &requirement, &mut source).map_err(|error| match error {
        SearchError::NoRows | SearchError::Unreachable => NOT_PROTECTED,
        SearchError::Source(never) => match never {},
    })?;
    let small = classes::small_keys(source.table(&outcome.node), &classes.layout, &requirement);
    drop(source);
    let keys = classes::keys_at(&lattice, &outcome.node, &classes.keys);
    let is_kept = keys.par_iter().map(|key| small.binary_search(key).is_err()).collect();
    let mut plan = Plan { lattice: &lattice, node: outcome.node, classes: &classes, requirement, keys, is_kept };

    job.stage(ExportStage::Comparing, run.earlier.len() as u64)?;
    for _ in 0..ATTEMPTS {
        let kept = plan.rows_kept();
        plan.is_kept.par_iter_mut().zip(&selected).for_each(|(kept, row)| *kept &= !rows.has_left(run.columns, *row));
        plan.remove_small_classes(kept);
        let kept = plan.rows_kept();
        let new = NewExport { selected: &selected, node: &outcome.node };
        earlier::compare(run, &rows, &new, &mut plan.is_kept)?;
        plan.remove_small_classes(kept);
        let left_out = selected.len() as u64 - plan.rows_kept() as u64;
        if !requirement.allows_suppressed(left_out, selected.len() as u64) || left_out == selected.len() as u64 {
            return Err(NOT_PROTECTED);
        }
        job.suppressed(left_out);
        job.written(0);
        let file = RecordFile { run, rows: &rows, selected: &selected, sensitive: &sensitive, plan: &plan };
        let bytes = file.write(left_out, outcome.loss.parts_per_million())?;
        let written = plan.is_kept.par_iter().zip(&selected);
        if !written.any(|(kept, row)| *kept && rows.has_left(run.columns, *row)) {
            return Ok(Written {
                bytes,
                rows_written: selected.len() as u64 - left_out,
                rows_suppressed: left_out,
                information_loss_ppm: Some(outcome.loss.parts_per_million()),
                levels: level_names(&lattice, &outcome.node),
                rows: plan.users(&selected, &rows),
            });
        }
        run.remove_file()?;
    }
    Err(JobEnd::Failed("people kept leaving while the file was written: try again"))
}

impl Plan<'_> {
    fn rows_kept(&self) -> usize {
        self.is_kept.iter().filter(|kept| **kept).count()
    }

    /// Returns the users whose rows are written.
    fn users(&self, selected: &[u32], rows: &ExportRows) -> RowSet {
        let kept = self.is_kept.iter().zip(selected).filter(|(kept, _)| **kept);
        kept.map(|(_, row)| rows.ids[*row as usize]).collect()
    }

    /// Leaves out the rows of classes that do not meet the requirement any more, if fewer rows than `before` are kept.
    fn remove_small_classes(&mut self, before: usize) {
        if self.rows_kept() == before {
            return;
        }
        let rows = self.keys.iter().zip(&self.classes.sensitive).zip(&self.is_kept);
        let kept: Vec<(u64, u64)> = rows.filter(|(_, kept)| **kept).map(|((key, set), _)| (*key, *set)).collect();
        let too_small = classes::too_small(&kept, &self.classes.layout, &self.requirement);
        let places = self.is_kept.iter_mut().filter(|kept| **kept);
        places.zip(too_small).for_each(|(kept, too_small)| *kept = !too_small);
    }
}

/// The file of an export of records.
struct RecordFile<'f> {
    run: &'f Run<'f>,
    rows: &'f ExportRows,
    selected: &'f [u32],
    sensitive: &'f [(ExportColumn, CodedColumn)],
    plan: &'f Plan<'f>,
}

impl RecordFile<'_> {
    /// Writes the file and returns its length in bytes. Rows are ordered by class and then by pseudonym, which says nothing
    /// about the order in which people came.
    fn write(&self, left_out: u64, loss_ppm: u64) -> Result<u64, JobEnd> {
        let Self { run, rows, plan, .. } = self;
        let job = run.job;
        let kept = (0..).zip(&plan.is_kept).filter(|(_, kept)| **kept).map(|(position, _): (u32, _)| position);
        let order: Vec<u32> = kept.collect();
        job.stage(ExportStage::Pseudonyms, order.len() as u64)?;
        let pseudonyms = self.pseudonyms(&order)?;
        let order_of = |at: usize| {
            let (row, pseudonym) = (order[at], &pseudonyms[at]);
            (plan.keys[row as usize], *pseudonym, row)
        };
        let mut rows_in_order: Vec<(u64, Pseudonym, u32)> = (0..order.len()).into_par_iter().map(order_of).collect();
        drop(pseudonyms);
        rows_in_order.par_sort_unstable();
        let sorted: Vec<Pseudonym> = rows_in_order.par_iter().map(|(_, pseudonym, _)| *pseudonym).collect();
        let order: Vec<u32> = rows_in_order.par_iter().map(|(.., row)| *row).collect();
        drop(rows_in_order);

        job.stage(ExportStage::Writing, order.len() as u64)?;
        let row_of = |position: u32| self.selected[position as usize];
        let tags = order.iter().map(|position| rows.rows[row_of(*position) as usize].cohort_tags);
        let tags = common_tags(tags, &rows.dictionaries, run.request.k);
        let kept_keys: Vec<u64> = order.iter().map(|position| plan.keys[*position as usize]).collect();
        let input = FileInput {
            keys: &kept_keys,
            rules: run.rules,
            lattice: plan.lattice,
            node: &plan.node,
            sensitive: self.sensitive,
            tags: &tags,
        };
        let columns = std::iter::once(ExportColumn::Pseudonym)
            .chain(run.request.columns.iter().filter(|column| *column != ExportColumn::Pseudonym));
        let columns = FileColumns::new(columns, &input);
        let schema = TableSchema {
            metadata: self.metadata(&columns, order.len(), left_out, loss_ppm),
            columns: columns.schema(),
        };
        let mut writer = run.create_file(&schema)?;
        for (positions, pseudonyms) in order.chunks(WRITE_ROWS).zip(sorted.chunks(WRITE_ROWS)) {
            let keys: Vec<u64> = positions.iter().map(|position| plan.keys[*position as usize]).collect();
            let positions: Vec<u32> = positions.iter().map(|position| row_of(*position)).collect();
            let batch = columns.batch(&positions, &keys, pseudonyms, &rows.rows, self.sensitive);
            writer.write(&batch).map_err(super::run::not_written)?;
            job.written(job.progress().rows_written + positions.len() as u64);
            job.done(positions.len() as u64)?;
        }
        writer.finish().map_err(super::run::not_written)
    }

    /// Returns the pseudonym of each row: the HMAC of its number and generation under a key that nobody keeps. The spec's
    /// profile id would say the same, and is not in the columns.
    fn pseudonyms(&self, order: &[u32]) -> Result<Vec<Pseudonym>, JobEnd> {
        let mut key = zeroize::Zeroizing::new([0; 32]);
        self.run.entropy.fill(&mut *key);
        let key = PseudonymKey::new(&key);
        let compute = |batch: Range<usize>| {
            let mut texts = Vec::with_capacity(batch.len() * 8);
            for position in &order[batch] {
                let row = self.selected[*position as usize] as usize;
                texts.extend_from_slice(&self.rows.ids[row].0.to_le_bytes());
                texts.extend_from_slice(&generation(&self.rows.rows[row]).to_le_bytes());
            }
            let computed = self.run.device.compute(|backend| {
                let texts = Texts::fixed(&texts, 8)?;
                backend.pseudonyms(&key, &texts)
            });
            computed.map_err(classes::not_computed)
        };
        let batches = self.run.device.in_batches(order.len(), compute, |rows| self.run.job.done(rows))?;
        Ok(batches.concat())
    }

    fn metadata(
        &self,
        columns: &FileColumns<'_>,
        rows: usize,
        left_out: u64,
        loss_ppm: u64,
    ) -> BTreeMap<String, String> {
        let Self { run, plan, .. } = self;
        let levels = level_names(plan.lattice, &plan.node);
        let texts = [
            ("rows_suppressed", left_out.to_string()),
            ("max_suppression_pct", plan.requirement.max_suppression_pct.to_string()),
            ("information_loss_ppm", loss_ppm.to_string()),
            ("levels", serde_json::Value::Object(levels).to_string()),
        ];
        let mut others = run.common_metadata();
        others.extend(texts.map(|(name, text)| (name.to_owned(), text)));
        let claims = ExportClaims {
            job_id: run.id.to_string(),
            mode: ExportMode::Records,
            k: run.request.k,
            l: run.request.l,
            rows: rows as u64,
            quasi_identifiers: columns.quasi_identifiers(),
            sensitive: self.sensitive.iter().map(|(column, _)| column.name().to_owned()).collect(),
            others,
        };
        claims.to_metadata()
    }
}

fn generation(row: &Row) -> u32 {
    row.version().generation()
}
