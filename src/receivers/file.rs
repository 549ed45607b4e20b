//! stub
use super::*;
#[derive(Clone, Debug)]
pub struct Options;
#[derive(Debug, thiserror::Error)]
#[error("x")]
pub struct PatternError;
pub(super) struct Plan;
impl Plan { pub(super) fn new(_: &Options) -> Result<Self, PatternError> { Ok(Plan) } 
pub(super) fn start(self, _: &[Position], _: &Context) -> Result<Receiver, StartError> { todo!() } }
