//! Sigma: rules as text, compiled once, matched against each record.
//!
//! ```text
//!  file ─ parse ─▶ Parsed ─┐
//!  file ─ parse ─▶ Parsed ─┼─ RuleSet::compile ─▶ Arc<RuleSet> ─▶ Matcher (one per worker)
//!  file ─ parse ─▶ Parsed ─┘        └─▶ Report                    Record ─▶ rules that match
//! ```
//!
//! Reading order: [`rule`] (documents), [`detection`] (what they look for), [`condition`],
//! [`value`] and [`modifier`] (what is compared, and how); then `program` (bits, guards, programs),
//! `scan` (all literals of a field at once) and [`matcher`] (one record). [`plain`] is the meaning
//! without the machinery. [`fields`] makes records of events, and [`live`] puts all of it beside a
//! stream. [`correlation`] and [`filter`] are the other kinds of document.
//!
//! # What a record costs
//!
//! Its values are folded and scanned once for those fields that guards of rules for its log source
//! are about; keywords in one pass over all its texts, and only those of its log source. Then only
//! rules whose guard was hit are looked at. So it costs by the length of the fields that rules ask
//! for, and by what is hit; the number of rules counts as far as they ask for more fields, and as
//! more of what they look for (`.exe`, `\windows\`) stands in everything.
//!
//! # Where the specification leaves room
//!
//! - **Logsource.** A record has a set of views; a rule applies when one single view has every
//!   dimension it names ([`logsource`]).
//! - **Numbers and text** are alike: `4625`, `'4625'` and a record's `4625` or `"4625"` all match
//!   each other. A number in a rule also matches text with the rule's own spelling (`1.10`,
//!   `0x1F`). Booleans match the texts `true` and `false`.
//! - **`null`** holds for a missing field as for a null one, never for an empty text. An empty
//!   list is `null`. `exists` is presence alone; an object is present by what is in it.
//! - **Case** folds by Unicode lower case, character by character ([`value::fold`]). `base64` and
//!   `base64offset` compare with case, since other case encodes other bytes; expressions do, too,
//!   unless `i` is given.
//! - **Arrays**: a test holds if it does for any element; with `all`, different elements may
//!   satisfy different values.
//! - **`neq`** is the negation of the item, so it holds where the field is missing.
//! - **Keywords** are looked for inside every text value and in the message, not in names; with
//!   `all`, different values may hold different words.
//! - **`windash`** exchanges every dash that begins an option, independently of the others.
//! - **`re` with `startswith` or `endswith`** anchors the expression at that end; `contains` asks
//!   nothing more than a search already does.
//! - **Time parts** take the parts as written, without time zones; `week` is that of ISO 8601.
//!   They may be compared: `Time|hour|gte: 22`.
//! - **Filters** ([`filter`]): a condition that begins with `not` is taken as written, any other
//!   is negated.
//! - **`N of`**, which Sigma v2 no longer has, asks for at least so many.

pub mod compile;
pub mod condition;
pub mod correlation;
pub mod detection;
pub mod diagnose;
pub mod explain;
pub mod fields;
pub mod filter;
pub mod finding;
pub mod live;
pub mod logsource;
mod lower;
pub mod matcher;
pub mod modifier;
mod moment;
pub mod plain;
mod program;
pub mod record;
pub mod regex;
pub mod rule;
mod scan;
pub mod value;
pub mod yaml;

#[cfg(test)]
mod tests;

pub use compile::{FieldId, Options, Report, Resolved, RuleIndex, RuleSet};
pub use diagnose::{Diagnostic, Gravity, Pos};
pub use explain::{Explanation, Near};
pub use fields::{Fields, Pipeline};
pub use live::{Active, Schedule, Sigma};
pub use logsource::{LogSource, View};
pub use matcher::Matcher;
pub use record::{FieldValue, Record, Value};
pub use rule::{Document, Meta, Parsed, Rule, Status, parse, parse_all};
