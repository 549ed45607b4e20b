//! Control records: what is not a log record and yet changes the outcome.

use operators::types::EventTime;

use super::format::{Bytes, Malformed, put_text, put_varint};

/// The most bytes that a control record holds; a larger one is refused by the writer.
pub const CONTROL_BYTES_MAX: usize = 16 << 20;

/// Something other than a record that the outcome depends on.
///
/// On disk: a code (u16), then the fields in their order. A later version may add fields at the
/// end, which an older program does not read, and codes, which it sees as
/// [`Unknown`](Control::Unknown).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Control {
    /// Nothing has come for a while, and it is so late. Idle time-outs of watermarks are counted
    /// by it, so that they are functions of the journal.
    Tick {
        /// The wall clock when it was written.
        at: EventTime,
    },
    /// Rules or settings have changed. The text itself is kept, so that a replay uses the same.
    Reload {
        /// What has changed: `rules`, `config`.
        what: String,
        /// What it is now.
        content: Vec<u8>,
    },
    /// An operator has judged an alert.
    Verdict {
        /// The alert.
        alert: [u8; 16],
        /// The judgement: `true_positive`, `false_positive` …
        verdict: String,
        /// Who said so, and why.
        note: String,
    },
    /// The program is stopping in good order; nothing comes after it until the next start.
    Stop,
    /// Written by a newer program.
    Unknown {
        /// Its code.
        code: u16,
        /// Its fields.
        bytes: Vec<u8>,
    },
}

impl Control {
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        let code: u16 = match self {
            Control::Tick { .. } => 1,
            Control::Reload { .. } => 2,
            Control::Verdict { .. } => 3,
            Control::Stop => 4,
            Control::Unknown { code, .. } => *code,
        };
        out.extend_from_slice(&code.to_le_bytes());
        match self {
            Control::Tick { at } => out.extend_from_slice(&at.0.to_le_bytes()),
            Control::Reload { what, content } => {
                put_text(out, what);
                put_varint(out, content.len() as u64);
                out.extend_from_slice(content);
            }
            Control::Verdict { alert, verdict, note } => {
                out.extend_from_slice(alert);
                put_text(out, verdict);
                put_text(out, note);
            }
            Control::Stop => {}
            Control::Unknown { bytes, .. } => out.extend_from_slice(bytes),
        }
    }

    pub(super) fn decode(payload: &[u8]) -> Result<Control, Malformed> {
        let mut cursor = Bytes(payload);
        Ok(match cursor.u16()? {
            1 => Control::Tick { at: EventTime(cursor.i64()?) },
            2 => Control::Reload {
                what: cursor.text()?,
                content: {
                    let len = cursor.count()?;
                    cursor.take(len)?.to_vec()
                },
            },
            3 => Control::Verdict {
                alert: cursor.array()?,
                verdict: cursor.text()?,
                note: cursor.text()?,
            },
            4 => Control::Stop,
            code => Control::Unknown { code, bytes: cursor.0.to_vec() },
        })
    }

    /// The moment that it tells, if it tells one.
    #[must_use]
    pub fn time(&self) -> Option<EventTime> {
        match self {
            Control::Tick { at } => Some(*at),
            _ => None,
        }
    }

    /// About how many bytes it takes.
    pub(super) fn size(&self) -> usize {
        match self {
            Control::Tick { .. } => 10,
            Control::Reload { what, content } => what.len() + content.len() + 22,
            Control::Verdict { verdict, note, .. } => verdict.len() + note.len() + 38,
            Control::Stop => 2,
            Control::Unknown { bytes, .. } => bytes.len() + 2,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(control: &Control) -> Vec<u8> {
        let mut out = Vec::new();
        control.encode(&mut out);
        out
    }

    #[test]
    fn a_control_record_is_read_back_as_it_was_written() {
        let controls = [
            Control::Tick { at: EventTime(-5) },
            Control::Reload { what: "rules".into(), content: vec![0, 255, 7] },
            Control::Verdict { alert: [9; 16], verdict: "benign".into(), note: "ann: ok".into() },
            Control::Stop,
            Control::Unknown { code: 900, bytes: vec![1, 2] },
        ];
        for control in controls {
            assert_eq!(Control::decode(&bytes(&control)), Ok(control));
        }
    }

    #[test]
    fn a_field_that_a_newer_program_added_is_passed_over() {
        let mut newer = bytes(&Control::Tick { at: EventTime(5) });
        newer.extend_from_slice(b"more");
        assert_eq!(Control::decode(&newer), Ok(Control::Tick { at: EventTime(5) }));
        assert!(Control::decode(&newer[..6]).is_err());
    }
}
