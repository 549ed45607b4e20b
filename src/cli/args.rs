//! The command line: verbs, flags and their help.

mod rules;

use std::path::PathBuf;

use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use clap::{Args, Parser, Subcommand, ValueEnum};
use operators::types::{Kind, Level, Severity};

pub use self::rules::{
    RuleKind, RulesCoverageArgs, RulesFilter, RulesLintArgs, RulesListArgs, RulesShowArgs,
    RulesTestArgs, RulesVerb,
};
use super::numbers::TimeArgument;
use super::style::Color;
use crate::config::Flag;
use crate::telemetry::Format;

/// Streaming, entity-centric log intelligence: logs in, explained alerts out.
#[derive(Clone, Debug, Parser)]
#[command(name = "seerflow-dataflow", version, arg_required_else_help = true)]
#[command(after_help = "Examples:
  seerflow-dataflow demo                           a first look; needs nothing
  seerflow-dataflow replay /var/log/auth.log       what would have been found
  seerflow-dataflow init && seerflow-dataflow run  live, with a configuration to edit

`seerflow-dataflow VERB --help` has more examples; `seerflow-dataflow man` the whole manual.")]
pub struct Cli {
    /// What holds for every verb.
    #[command(flatten)]
    pub global: Global,
    /// What to do.
    #[command(subcommand)]
    pub verb: Verb,
}

/// Flags of every verb.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Global options")]
pub struct Global {
    /// The configuration; without it `seerflow.yaml`, if that is there
    #[arg(short, long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Sets any key of the configuration to a YAML value; may be repeated
    #[arg(long, global = true, value_name = "KEY=VALUE", value_parser = key_value)]
    pub set: Vec<String>,
    /// With how many threads the engine works; the answers do not depend on it
    #[arg(long, global = true, value_name = "N")]
    #[arg(value_parser = clap::value_parser!(u16).range(1..=256))]
    pub workers: Option<u16>,
    /// What is logged: error, warn, info, debug, trace, off; `info,receivers=debug` for a part
    #[arg(long, global = true, value_name = "LEVEL", value_parser = levels)]
    pub log_level: Option<String>,
    /// How the log is written: text or json
    #[arg(long, global = true, value_name = "FORMAT", default_value = "text")]
    #[arg(hide_possible_values = true)]
    pub log_format: Format,
    /// Whether there are colours: auto, always or never; `NO_COLOR` is heeded too
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto")]
    #[arg(hide_possible_values = true)]
    pub color: Color,
    /// Says less: no bar, no banner, errors alone in the log
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub quiet: bool,
    /// Says more; twice for everything
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,
}

impl Global {
    /// The flags that stand for keys of the configuration, in the order of their weight.
    #[must_use]
    pub fn flags(&self) -> Vec<Flag> {
        let mut flags: Vec<Flag> = self.set.iter().map(|argument| Flag::set(argument)).collect();
        if let Some(workers) = self.workers {
            flags.push(Flag::named("--workers", "workers", &workers.to_string()));
        }
        let level = match (&self.log_level, self.quiet, self.verbose) {
            (Some(level), _, _) => Some(("--log-level", level.as_str())),
            (None, true, _) => Some(("--quiet", "error")),
            (None, false, 1) => Some(("--verbose", "debug")),
            (None, false, 2..) => Some(("--verbose", "trace")),
            (None, false, 0) => None,
        };
        flags.extend(level.map(|(flag, level)| Flag::named(flag, "log_level", level)));
        flags
    }
}

fn key_value(text: &str) -> Result<String, String> {
    match text.split_once('=') {
        Some((key, _)) if !key.trim().is_empty() => Ok(text.to_owned()),
        _ => Err("write KEY=VALUE, as in `state.dir=/var/lib/seerflow`".to_owned()),
    }
}

fn levels(text: &str) -> Result<String, crate::telemetry::LevelError> {
    crate::telemetry::Levels::parse(text).map(|levels| levels.to_string())
}

/// What the program can do.
#[derive(Clone, Debug, Subcommand)]
pub enum Verb {
    /// Receives logs and raises alerts until it is stopped
    Run(RunArgs),
    /// Takes finite logs through the whole engine and sums up
    Replay(ReplayArgs),
    /// Shows what it does on generated traffic with a planted attack
    Demo(DemoArgs),
    /// Shows what is stored
    #[command(subcommand)]
    Query(QueryVerb),
    /// Says why there is an alert, or what becomes of one line
    Explain(ExplainArgs),
    /// Lists, checks and tests rules
    #[command(subcommand)]
    Rules(RulesVerb),
    /// Checks a configuration without starting anything
    Validate(ValidateArgs),
    /// Writes a configuration to start from
    Init(InitArgs),
    /// Prints the JSON Schema of the configuration
    Schema(SchemaArgs),
    /// Looks at the state folder
    #[command(subcommand)]
    State(StateVerb),
    /// Prints completions for a shell
    Completions(CompletionsArgs),
    /// Prints the manual
    Man(ManArgs),
}

/// Arguments of `run`.
#[derive(Clone, Debug, Args)]
#[command(after_help = "Examples:
  seerflow-dataflow run                                 syslog on 127.0.0.1:5514, UDP and TCP
  seerflow-dataflow run -c seerflow.yaml --workers 2
  seerflow-dataflow run --set 'receivers.file_paths=[/var/log/*.log]'
  journalctl -f | seerflow-dataflow run --set receivers.stdin_enabled=true

Ctrl-C or SIGTERM works off what was taken in and sums up; a second Ctrl-C ends at once.")]
pub struct RunArgs {
    /// The state folder, instead of `state.dir`
    #[arg(long, value_name = "DIR")]
    pub state: Option<PathBuf>,
    /// Prints the summary at the end as one JSON object
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `replay`.
#[derive(Clone, Debug, Args)]
#[command(after_help = "Examples:
  seerflow-dataflow replay /var/log/auth.log
  seerflow-dataflow replay '/var/log/*.log' old/syslog.2.gz --workers 2
  zcat logs.gz | seerflow-dataflow replay - --json
  seerflow-dataflow replay day.log --alerts alerts.ndjson --events events.ndjson
  seerflow-dataflow replay day.log --alerts - | jq .title
  seerflow-dataflow replay day.log --set 'rules.dirs=[./rules]' --fail-on high
  seerflow-dataflow replay ./seerflow-data --set detection.budget_per_million=5

Without --state nothing is left behind. With it, a replay that was interrupted goes on where it
was, and the files of alerts and events are those of the whole. A state folder in place of files
has its journal read again, record by record in the epochs of then. With --fail-on the exit code
is 3 if there are alerts of that level or above.")]
pub struct ReplayArgs {
    /// Files or patterns, plain or compressed (.gz, .zst); `-` is standard input; or the state
    /// folder of another run
    #[arg(required = true, value_name = "PATH")]
    pub paths: Vec<PathBuf>,
    /// Writes the alerts there, one JSON object on a line, by epoch and id; `-` is standard output
    #[arg(long, value_name = "FILE")]
    pub alerts: Option<PathBuf>,
    /// Writes every event there, one JSON object on a line, in the order of the input; `-` is
    /// standard output
    #[arg(long, value_name = "FILE")]
    pub events: Option<PathBuf>,
    /// Keeps the state in this folder, for `query` and `explain`
    #[arg(long, value_name = "DIR")]
    pub state: Option<PathBuf>,
    /// Prints the summary as one JSON object
    #[arg(long)]
    pub json: bool,
    /// Ends with exit code 3 if there are alerts of this level or above: informational, low,
    /// medium, high, critical
    #[arg(long, value_name = "LEVEL", value_parser = level(), hide_possible_values = true)]
    pub fail_on: Option<Level>,
}

/// Arguments of `demo`.
#[derive(Clone, Debug, Args)]
#[command(after_help = "Examples:
  seerflow-dataflow demo
  seerflow-dataflow demo --workers 2 --state ./demo     and then: query, explain
  seerflow-dataflow demo --seed 7 --json

The exit code is 1 unless all planted steps are found and nothing harmless is alerted as high.")]
pub struct DemoArgs {
    /// The seed of the traffic
    #[arg(long, value_name = "N", default_value_t = 42)]
    pub seed: u64,
    /// Keeps the state in this folder, for `query` and `explain`
    #[arg(long, value_name = "DIR")]
    pub state: Option<PathBuf>,
    /// Prints the summary as one JSON object
    #[arg(long)]
    pub json: bool,
    /// Writes the traffic to this file, a line each as it would be sent, and does nothing else
    #[arg(long, value_name = "FILE", hide = true)]
    pub write: Option<PathBuf>,
}

/// Kinds of entities by name.
fn kind() -> impl TypedValueParser<Value = Kind> {
    const KINDS: [(&str, Kind); 6] = [
        ("ip", Kind::Ip),
        ("user", Kind::User),
        ("host", Kind::Host),
        ("domain", Kind::Domain),
        ("file", Kind::File),
        ("process", Kind::Process),
    ];
    PossibleValuesParser::new(KINDS.map(|(name, _)| name)).map(|name| {
        let found = KINDS.iter().find(|(known, _)| *known == name);
        found.expect("clap takes only names of the list").1
    })
}

/// Levels by name; `info` is short for the least.
fn level() -> impl TypedValueParser<Value = Level> {
    let names = Level::ALL.map(|level| match level {
        Level::Informational => PossibleValue::new(level.name()).alias("info"),
        _ => PossibleValue::new(level.name()),
    });
    PossibleValuesParser::new(names).map(|name| {
        let found = Level::ALL.into_iter().find(|level| level.name() == name);
        // An alias comes as it was written.
        found.unwrap_or(Level::Informational)
    })
}

/// Severities by name.
fn severity() -> impl TypedValueParser<Value = Severity> {
    const SEVERITIES: [Severity; 7] = [
        Severity::Trace,
        Severity::Info,
        Severity::Notice,
        Severity::Warning,
        Severity::Error,
        Severity::Critical,
        Severity::Fatal,
    ];
    PossibleValuesParser::new(SEVERITIES.map(Severity::name)).map(|name| {
        let found = SEVERITIES.into_iter().find(|severity| severity.name() == name);
        found.expect("clap takes only names of the list")
    })
}

/// What all reading verbs take.
#[derive(Clone, Debug, Args)]
pub struct Reading {
    /// Prints one JSON object on a line
    #[arg(long)]
    pub json: bool,
    /// From when on: `30m`, `1h`, `7d` ago, `2026-11-22 13:38` in UTC, or `2026-11-22T13:38:00+02:00`
    #[arg(long, value_name = "TIME")]
    pub since: Option<TimeArgument>,
    /// Up to when
    #[arg(long, value_name = "TIME")]
    pub until: Option<TimeArgument>,
    /// How many at most, the newest or the most frequent ones; 0 is all
    #[arg(long, value_name = "N", default_value_t = 50)]
    pub limit: usize,
    /// The state folder, instead of `state.dir`
    #[arg(long, value_name = "DIR")]
    pub state: Option<PathBuf>,
}

/// What `query` can show.
#[derive(Clone, Debug, Subcommand)]
pub enum QueryVerb {
    /// Shows events
    Events(EventsArgs),
    /// Shows alerts
    Alerts(AlertsArgs),
    /// Shows entities: addresses, users, hosts, processes, files, domains
    Entities(EntitiesArgs),
    /// Shows what happened to one entity, events and alerts together
    Timeline(TimelineArgs),
    /// Shows templates of messages
    Templates(TemplatesArgs),
}

impl QueryVerb {
    /// What every one of them takes.
    #[must_use]
    pub fn reading(&self) -> &Reading {
        match self {
            QueryVerb::Events(args) => &args.reading,
            QueryVerb::Alerts(args) => &args.reading,
            QueryVerb::Entities(args) => &args.reading,
            QueryVerb::Timeline(args) => &args.reading,
            QueryVerb::Templates(args) => &args.reading,
        }
    }
}

/// Arguments of `query events`.
#[derive(Clone, Debug, Args)]
#[command(after_help = "Examples:
  seerflow-dataflow query events --since 1h --grep 'Failed password'
  seerflow-dataflow query events --entity 203.0.113.7 --json | jq .message
  seerflow-dataflow query events --severity error --source web --limit 200")]
pub struct EventsArgs {
    /// What every reading verb takes.
    #[command(flatten)]
    pub reading: Reading,
    /// With this entity, by name or UUID
    #[arg(long, value_name = "NAME|UUID")]
    pub entity: Option<String>,
    /// With an entity of this kind
    #[arg(long, value_name = "KIND", value_parser = kind())]
    pub kind: Option<Kind>,
    /// Of this template, by id, or of all whose text holds this
    #[arg(long, value_name = "ID|TEXT")]
    pub template: Option<String>,
    /// From a source whose name holds this: `syslog`, a peer, a file
    #[arg(long, value_name = "NAME")]
    pub source: Option<String>,
    /// Of this severity or above
    #[arg(long, value_name = "SEVERITY", value_parser = severity())]
    pub severity: Option<Severity>,
    /// That match this rule or detector, by title, id or the beginning of it, or that an alert of
    /// it rests on
    #[arg(long, value_name = "RULE")]
    pub rule: Option<String>,
    /// Whose message holds this text; upper and lower case are the same
    #[arg(long, value_name = "TEXT")]
    pub grep: Option<String>,
}

/// Arguments of `query alerts`.
#[derive(Clone, Debug, Args)]
#[command(after_help = "Examples:
  seerflow-dataflow query alerts --level high
  seerflow-dataflow query alerts --since 7d --entity root --kind user
  seerflow-dataflow query alerts --rule 'SSH brute force' --json")]
pub struct AlertsArgs {
    /// What every reading verb takes.
    #[command(flatten)]
    pub reading: Reading,
    /// About this entity, by name or UUID
    #[arg(long, value_name = "NAME|UUID")]
    pub entity: Option<String>,
    /// About an entity of this kind
    #[arg(long, value_name = "KIND", value_parser = kind())]
    pub kind: Option<Kind>,
    /// With an event of this template, by id, or of one whose text holds this
    #[arg(long, value_name = "ID|TEXT")]
    pub template: Option<String>,
    /// From a source whose name holds this: `syslog`, a peer, a file
    #[arg(long, value_name = "NAME")]
    pub source: Option<String>,
    /// Of this level or above: informational, low, medium, high, critical
    #[arg(long, value_name = "LEVEL", value_parser = level(), hide_possible_values = true)]
    pub level: Option<Level>,
    /// Of this rule or detector, by title, id or the beginning of it
    #[arg(long, value_name = "RULE")]
    pub rule: Option<String>,
    /// Whose text holds this; upper and lower case are the same
    #[arg(long, value_name = "TEXT")]
    pub grep: Option<String>,
}

/// Arguments of `query entities`.
#[derive(Clone, Debug, Args)]
#[command(after_help = "Examples:
  seerflow-dataflow query entities --kind user
  seerflow-dataflow query entities --sort last --limit 10
  seerflow-dataflow query entities --grep 203.0.113. --json")]
pub struct EntitiesArgs {
    /// What every reading verb takes.
    #[command(flatten)]
    pub reading: Reading,
    /// This one, by name or UUID
    #[arg(long, value_name = "NAME|UUID")]
    pub entity: Option<String>,
    /// Of this kind
    #[arg(long, value_name = "KIND", value_parser = kind())]
    pub kind: Option<Kind>,
    /// Whose name holds this text
    #[arg(long, value_name = "TEXT")]
    pub grep: Option<String>,
    /// Which come first: `count`, those in most events; `last`, those seen last
    #[arg(long, value_name = "BY", default_value = "count", hide_possible_values = true)]
    pub sort: Sort,
}

/// In which order entities and templates are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Sort {
    /// Those in most events first.
    Count,
    /// Those seen last first.
    Last,
}

/// Arguments of `query timeline`.
#[derive(Clone, Debug, Args)]
#[command(after_help = "Examples:
  seerflow-dataflow query timeline 203.0.113.7
  seerflow-dataflow query timeline root --kind user --since 1h
  seerflow-dataflow query timeline 4c970dac-0000-5000-8000-000000000000 --json")]
pub struct TimelineArgs {
    /// The entity, by name or UUID
    #[arg(value_name = "NAME|UUID")]
    pub entity: String,
    /// What every reading verb takes.
    #[command(flatten)]
    pub reading: Reading,
    /// Its kind, if the name alone is not enough
    #[arg(long, value_name = "KIND", value_parser = kind())]
    pub kind: Option<Kind>,
    /// Alerts of this level or above, and no events
    #[arg(long, value_name = "LEVEL", value_parser = level(), hide_possible_values = true)]
    pub level: Option<Level>,
}

/// Arguments of `query templates`.
#[derive(Clone, Debug, Args)]
#[command(after_help = "Examples:
  seerflow-dataflow query templates --limit 10
  seerflow-dataflow query templates --since 1d --sort last
  seerflow-dataflow query templates --grep password --json")]
pub struct TemplatesArgs {
    /// What every reading verb takes.
    #[command(flatten)]
    pub reading: Reading,
    /// This one, by id: its own, or one that it had before it became part of another
    #[arg(long, value_name = "ID")]
    pub template: Option<String>,
    /// Whose text holds this
    #[arg(long, value_name = "TEXT")]
    pub grep: Option<String>,
    /// Which come first: `count`, those of most events; `last`, those seen last
    #[arg(long, value_name = "BY", default_value = "count", hide_possible_values = true)]
    pub sort: Sort,
}

/// Arguments of `explain`.
#[derive(Clone, Debug, Args)]
#[command(after_help = "Examples:
  seerflow-dataflow explain 2f1c                   the alert whose id begins so
  seerflow-dataflow explain --line 'Nov 22 13:38:00 web sshd[812]: Failed password for root'
  seerflow-dataflow explain 2f1c --json
  tail -3 /var/log/auth.log | seerflow-dataflow explain --line - --json

Of a line are shown its parts, its template, its entities, what rules read of it, and the rules
that match or that come nearest to it. Without state there is no history: everything but how rare
its template is. The exit code is 1 if there is no such alert, or more than one.")]
pub struct ExplainArgs {
    /// The alert's id, or enough of its beginning, 4 characters or more; the newest without it
    #[arg(value_name = "ALERT_ID", conflicts_with = "line")]
    pub alert: Option<String>,
    /// Takes this line through the engine and tells each step; `-` is each line of standard input
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    pub line: Option<String>,
    /// Prints one JSON object
    #[arg(long)]
    pub json: bool,
    /// The state folder, instead of `state.dir`
    #[arg(long, value_name = "DIR")]
    pub state: Option<PathBuf>,
}

/// Arguments of `validate`.
#[derive(Clone, Debug, Args)]
#[command(after_help = "Examples:
  seerflow-dataflow validate -c seerflow.yaml
  seerflow-dataflow validate -c seerflow.yaml --print      every value, and where it comes from
  SEERFLOW__WORKERS=2 seerflow-dataflow validate --print --json
  seerflow-dataflow validate -c seerflow.yaml --json | jq '.errors[].message'

The exit code is 78 if something is wrong.")]
pub struct ValidateArgs {
    /// Prints what is in effect, each value with where it comes from; secrets are not shown
    #[arg(long)]
    pub print: bool,
    /// Prints one JSON object: what is in effect, or without --print what is wrong and what is to be
    /// noted
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `init`.
#[derive(Clone, Debug, Args)]
#[command(after_help = "Examples:
  seerflow-dataflow init                           writes seerflow.yaml
  seerflow-dataflow init --all -                   prints every key with its default
  seerflow-dataflow init /etc/seerflow/seerflow.yaml")]
pub struct InitArgs {
    /// The file to write; `-` is standard output
    #[arg(value_name = "FILE", default_value = crate::config::FILE_NAME)]
    pub file: PathBuf,
    /// Every key, not only the ones that most people want
    #[arg(long)]
    pub all: bool,
    /// Writes over a file that is there
    #[arg(long)]
    pub force: bool,
}

/// Arguments of `schema`.
#[derive(Clone, Debug, Args)]
#[command(after_help = "Examples:
  seerflow-dataflow schema > seerflow.schema.json
  # and as the first line of seerflow.yaml, for editors:
  # yaml-language-server: $schema=./seerflow.schema.json")]
pub struct SchemaArgs {}

/// What `state` can do.
#[derive(Clone, Debug, Subcommand)]
pub enum StateVerb {
    /// Says what is in the state folder
    #[command(after_help = "Examples:
  seerflow-dataflow state info
  seerflow-dataflow state info --state ./data --json")]
    Info(StateInfoArgs),
    /// Says what is damaged in the journal, and with `--yes` goes on without it
    ///
    /// What is damaged is moved aside, into files that end in `.damaged`; nothing is deleted.
    #[command(after_help = "Examples:
  seerflow-dataflow state repair --state ./data          says what would be done
  seerflow-dataflow state repair --state ./data --yes    does it")]
    Repair(StateRepairArgs),
}

/// Arguments of `state repair`.
#[derive(Clone, Debug, Args)]
pub struct StateRepairArgs {
    /// The state folder, instead of `state.dir`
    #[arg(long, value_name = "DIR")]
    pub state: Option<PathBuf>,
    /// Does it; without this it is only said
    #[arg(long)]
    pub yes: bool,
}

/// Arguments of `state info`.
#[derive(Clone, Debug, Args)]
pub struct StateInfoArgs {
    /// The state folder, instead of `state.dir`
    #[arg(long, value_name = "DIR")]
    pub state: Option<PathBuf>,
    /// Prints one JSON object
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `completions`.
#[derive(Clone, Debug, Args)]
#[command(after_help = "Examples:
  seerflow-dataflow completions bash > ~/.local/share/bash-completion/completions/seerflow-dataflow
  seerflow-dataflow completions zsh > \"${fpath[1]}/_seerflow-dataflow\"
  seerflow-dataflow completions fish > ~/.config/fish/completions/seerflow-dataflow.fish")]
pub struct CompletionsArgs {
    /// The shell
    pub shell: clap_complete::Shell,
}

/// Arguments of `man`.
#[derive(Clone, Debug, Args)]
#[command(after_help = "Examples:
  seerflow-dataflow man | man -l -
  seerflow-dataflow man replay | man -l -
  seerflow-dataflow man --dir ~/.local/share/man/man1")]
pub struct ManArgs {
    /// The verb whose page is printed, as in `replay` or `query events`
    #[arg(value_name = "VERB")]
    pub verb: Vec<String>,
    /// Writes all pages into this folder instead
    #[arg(long, value_name = "DIR", conflicts_with = "verb")]
    pub dir: Option<PathBuf>,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn every_verb_ends_its_help_with_examples_and_no_flag_contradicts_another() {
        fn check(command: &clap::Command) {
            if command.has_subcommands() {
                command.get_subcommands().for_each(check);
                return;
            }
            let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            let name = command.get_name();
            assert!(help.starts_with("Example"), "{name} has no examples");
            // What is longer is broken by the terminal, in the middle of a paragraph.
            let longest = help.lines().map(|line| line.chars().count()).max().unwrap_or(0);
            assert!(longest <= 100, "{name}: a line of {longest} characters");
            // For clap it is the end of a line.
            assert!(!help.contains("{n}"), "{name}");
        }
        let command = Cli::command();
        command.clone().debug_assert();
        check(&command);
    }

    #[test]
    fn the_contract_of_replay_holds() {
        let line = "seerflow-dataflow replay a.log - --workers 2 -c x.yaml --set rules.dirs=[./r] \
                    --set state.memory_mb=64 --alerts a --events e --state s --json --fail-on high";
        let cli = Cli::parse_from(line.split_whitespace());
        let Verb::Replay(args) = &cli.verb else { panic!("`replay` is the verb") };
        assert_eq!(args.paths, [PathBuf::from("a.log"), PathBuf::from("-")]);
        assert_eq!(args.fail_on, Some(Level::High));
        assert!(args.json && args.alerts.is_some() && args.events.is_some());
        let flags: Vec<_> = cli.global.flags().into_iter().map(|flag| flag.path).collect();
        assert_eq!(flags, ["rules.dirs", "state.memory_mb", "workers"]);
    }
}
