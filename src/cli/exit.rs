//! What the program's exit code means. Scripts rely on these numbers; they do not change.

use std::process::ExitCode;

/// How the program ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Exit {
    /// All went well; also after a signal, once what was taken in is worked off.
    Ok = 0,
    /// It failed, or a rule failed its test, or `demo` did not find what it planted, or there is no
    /// alert with the id that is to be explained.
    Failed = 1,
    /// The command line is wrong.
    Usage = 2,
    /// `--fail-on` was given, and alerts of that level were found.
    Found = 3,
    /// What was to be read is no log or no rule.
    BadData = 65,
    /// What was to be read is not there.
    NoInput = 66,
    /// A port is taken, or the state folder is in use or of another version.
    Unavailable = 69,
    /// A fault of the program itself.
    Internal = 70,
    /// Reading or writing failed: a full disk, for example.
    Io = 74,
    /// The configuration is wrong.
    Config = 78,
    /// A second Ctrl-C ended it at once; what was taken in is worked off at the next start.
    Forced = 130,
}

impl Exit {
    /// All of them, for the manual.
    pub const ALL: [(Exit, &'static str); 11] = [
        (Exit::Ok, "success; also after a signal, once what was taken in is worked off"),
        (
            Exit::Failed,
            "failure; a rule or the demo failed its test; no alert has the id to be explained",
        ),
        (Exit::Usage, "wrong command line"),
        (Exit::Found, "--fail-on was given and alerts of that level were found"),
        (Exit::BadData, "the input is no log or no rule"),
        (Exit::NoInput, "the input is not there"),
        (Exit::Unavailable, "a port is taken, or the state folder is in use"),
        (Exit::Internal, "a fault of the program itself"),
        (Exit::Io, "reading or writing failed"),
        (Exit::Config, "wrong configuration"),
        (Exit::Forced, "a second Ctrl-C ended it at once"),
    ];

    /// The number.
    #[must_use]
    pub fn code(self) -> u8 {
        self as u8
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        ExitCode::from(exit.code())
    }
}
