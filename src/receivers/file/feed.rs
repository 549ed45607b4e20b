//! From a file's bytes to intakes that say how far the file has been read.

use std::sync::Arc;

use operators::types::{EventTime, Flags, Source};
use tokio::sync::mpsc::error::TrySendError;

use super::super::counters::{Counters, count};
use super::super::lines::{Lines, Tally};
use super::super::{Context, now};
use super::documents::Documents;
use crate::intake::{INTAKE_BYTES_MAX, Intake, Position};

/// Nobody takes intakes any more, or it is time to stop. What is not in the journal is read again.
#[derive(Debug)]
pub(super) struct Stopped;

/// The way to the journal, for a thread that may wait.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) context: Context,
    pub(super) counters: Arc<Counters>,
    pub(super) runtime: tokio::runtime::Handle,
}

impl Link {
    fn send(&self, intake: Intake) -> Result<(), Stopped> {
        let (records, bytes) = (intake.ends.len() as u64, intake.bytes.len() as u64);
        match self.context.sender.try_send(intake) {
            Ok(()) => {}
            Err(TrySendError::Closed(_)) => return Err(Stopped),
            Err(TrySendError::Full(intake)) => self.runtime.block_on(async {
                tokio::select! {
                    biased;
                    () = self.context.shutdown.cancelled() => Err(Stopped),
                    sent = self.context.sender.send(intake) => sent.map_err(|_| Stopped),
                }
            })?,
        }
        count(&self.counters.received, records);
        count(&self.counters.bytes, bytes);
        Ok(())
    }
}

/// How a file's text becomes records.
#[derive(Debug)]
pub(super) enum Splitter {
    Lines(Lines),
    Documents(Documents),
}

/// One file on its way: what is read of it goes in, intakes come out.
#[derive(Debug)]
pub(super) struct Feed {
    splitter: Splitter,
    outlet: Outlet,
}

#[derive(Debug)]
struct Outlet {
    source: Source,
    position: Option<Position>,
    /// When all of it was received, if that is known; else it is now.
    time: Option<EventTime>,
    intake: Intake,
    /// How large the last intake was: the next one is likely to be as large.
    usual_bytes: usize,
}

impl Feed {
    /// A feed that begins behind `position`, or that has none.
    pub(super) fn new(
        source: Source,
        position: Option<Position>,
        time: Option<EventTime>,
        splitter: Splitter,
    ) -> Self {
        let intake = Intake::new(source.clone());
        Feed { splitter, outlet: Outlet { source, position, time, intake, usual_bytes: 0 } }
    }

    /// How far the file has been handed over, or will be with the next flush.
    pub(super) fn position(&self) -> Option<&Position> {
        self.outlet.position.as_ref()
    }

    pub(super) fn position_mut(&mut self) -> Option<&mut Position> {
        self.outlet.position.as_mut()
    }

    /// How many bytes came since the end of the last line.
    pub(super) fn begun(&self) -> u64 {
        match &self.splitter {
            Splitter::Lines(lines) => lines.begun(),
            Splitter::Documents(_) => 0,
        }
    }

    /// Takes the next bytes of the file.
    pub(super) fn take(&mut self, bytes: &[u8], link: &Link) -> Result<(), Stopped> {
        let Feed { splitter, outlet } = self;
        let mut record =
            |record: &[u8], flags: Flags, taken: u64| outlet.record(record, flags, taken, link);
        match splitter {
            Splitter::Lines(lines) => lines.push(bytes, &mut record)?,
            Splitter::Documents(documents) => documents.push(bytes, &mut record)?,
        }
        self.account(link);
        Ok(())
    }

    /// Takes what has begun for whole.
    pub(super) fn end_record(&mut self, flags: Flags, link: &Link) -> Result<(), Stopped> {
        let Feed { splitter, outlet } = self;
        let mut record =
            |record: &[u8], flags: Flags, taken: u64| outlet.record(record, flags, taken, link);
        match splitter {
            Splitter::Lines(lines) => lines.finish(flags, &mut record)?,
            Splitter::Documents(documents) => documents.finish(flags, &mut record)?,
        }
        self.account(link);
        Ok(())
    }

    /// Hands over what has been collected, if there is anything.
    pub(super) fn flush(&mut self, link: &Link) -> Result<(), Stopped> {
        match self.outlet.intake.ends.is_empty() {
            true => Ok(()),
            false => self.outlet.hand_over(link),
        }
    }

    /// Hands over the position, with or without records, so that the journal knows it.
    pub(super) fn note_position(&mut self, link: &Link) -> Result<(), Stopped> {
        self.outlet.hand_over(link)
    }

    fn account(&mut self, link: &Link) {
        let tally = match &mut self.splitter {
            Splitter::Lines(lines) => &mut lines.tally,
            Splitter::Documents(documents) => &mut documents.tally,
        };
        let Tally { empty, truncated, unterminated, malformed } = std::mem::take(tally);
        count(&link.counters.empty, empty);
        count(&link.counters.truncated, truncated);
        count(&link.counters.unterminated, unterminated);
        count(&link.counters.framing_errors, malformed);
    }
}

impl Outlet {
    fn record(
        &mut self,
        record: &[u8],
        flags: Flags,
        taken: u64,
        link: &Link,
    ) -> Result<(), Stopped> {
        let full =
            self.intake.is_full() || self.intake.bytes.len() + record.len() > INTAKE_BYTES_MAX;
        if full && !self.intake.ends.is_empty() {
            self.hand_over(link)?;
        }
        self.intake.push(record, flags);
        if let Some(position) = &mut self.position {
            position.offset += taken;
        }
        Ok(())
    }

    fn hand_over(&mut self, link: &Link) -> Result<(), Stopped> {
        let mut intake = std::mem::replace(&mut self.intake, Intake::new(self.source.clone()));
        self.usual_bytes = intake.bytes.len() + intake.bytes.len() / 8;
        self.intake.bytes.reserve(self.usual_bytes.min(INTAKE_BYTES_MAX));
        self.intake.ends.reserve(intake.ends.len());
        intake.received_at = self.time.unwrap_or_else(now);
        intake.position.clone_from(&self.position);
        link.send(intake)
    }
}
