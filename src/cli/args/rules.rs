//! `rules`: its verbs, their flags and their help.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use operators::types::Level;

use super::level;

/// What `rules` can do.
#[derive(Clone, Debug, Subcommand)]
pub enum RulesVerb {
    /// Lists rules
    List(RulesListArgs),
    /// Shows one rule: what it says of itself, where its records come from, its text
    Show(RulesShowArgs),
    /// Checks rules, and says of each that cannot be used or can never fire here, why
    Lint(RulesLintArgs),
    /// Runs the cases beside rules, or tries rules on logs
    Test(RulesTestArgs),
    /// Shows which ATT&CK tactics and techniques rules cover
    Coverage(RulesCoverageArgs),
}

/// Which rules are meant.
#[derive(Clone, Debug, Args)]
pub struct RulesFilter {
    /// Files, folders and archives of rules, or rules by id, name or title; those of the
    /// configuration without any
    #[arg(value_name = "PATH|RULE")]
    pub rules: Vec<String>,
    /// Of this level or above: informational, low, medium, high, critical
    #[arg(long, value_name = "LEVEL", value_parser = level(), hide_possible_values = true)]
    pub level: Option<Level>,
    /// With this tag, with or without its namespace; `t1059` is `attack.t1059.001`, too
    #[arg(long, value_name = "TAG")]
    pub tag: Option<String>,
    /// For this product: `windows`, `linux`
    #[arg(long, value_name = "PRODUCT")]
    pub product: Option<String>,
    /// Of this kind: rule or correlation
    #[arg(long, value_name = "KIND", hide_possible_values = true)]
    pub kind: Option<RuleKind>,
    /// Whose title, id, name, tags or file hold this text
    #[arg(long, value_name = "TEXT")]
    pub grep: Option<String>,
}

/// What kind of rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum RuleKind {
    /// Looks at one event.
    Rule,
    /// Looks at what other rules match.
    Correlation,
}

impl RuleKind {
    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            RuleKind::Rule => "rule",
            RuleKind::Correlation => "correlation",
        }
    }
}

/// Arguments of `rules list`.
#[derive(Clone, Debug, Args)]
#[command(after_help = "Examples:
  seerflow-dataflow rules list --level high
  seerflow-dataflow rules list --tag credential-access --product linux
  seerflow-dataflow rules list ./rules sigma.zip --kind correlation --json")]
pub struct RulesListArgs {
    /// Which rules.
    #[command(flatten)]
    pub filter: RulesFilter,
    /// Prints one JSON object on a line
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `rules show`.
#[derive(Clone, Debug, Args)]
#[command(after_help = "Examples:
  seerflow-dataflow rules show 'Password Hashes Read Through Sudo'
  seerflow-dataflow rules show 6a1c4d3e --json
  seerflow-dataflow rules show ./rules/brute_force.yml")]
pub struct RulesShowArgs {
    /// The rule's id or the beginning of it, its name, its title or a part of that, or its file
    #[arg(value_name = "ID|NAME|TITLE|FILE")]
    pub rule: String,
    /// Prints one JSON object; one on a line of a file with several rules
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `rules lint`.
#[derive(Clone, Debug, Args)]
#[command(after_help = "Examples:
  seerflow-dataflow rules lint                     the rules of the configuration
  seerflow-dataflow rules lint ./rules sigma.zip
  seerflow-dataflow rules lint ./rules --json | jq 'select(.gravity == \"error\")'

The exit code is 1 if a rule cannot be used. `--verbose` shows how filters were understood, too.")]
pub struct RulesLintArgs {
    /// Files, folders and archives; the rules of the configuration without any
    #[arg(value_name = "PATH")]
    pub paths: Vec<String>,
    /// Prints one JSON object on a line; the last is the summary
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `rules test`.
#[derive(Clone, Debug, Args)]
#[command(after_help = "Examples:
  seerflow-dataflow rules test                     the cases of all rules in use
  seerflow-dataflow rules test ./rules/brute_force.yml
  seerflow-dataflow rules test brute_force.yml --against /var/log/auth.log old/*.gz
  seerflow-dataflow rules test 'Password Hashes' --state ./data --samples 10

Cases are in NAME.cases.jsonl beside NAME.yml, one JSON object on a line:
  {\"match\": true, \"raw\": \"<38>Nov 22 13:38:00 web sshd[812]: ...\", \"why\": \"what this shows\"}
and those of correlations, whose records are repeated and have the {time} that it is then:
  {\"fires\": true, \"raw\": [\"<38>{time} web sshd[7]: ...\"], \"repeat\": 12, \"every_s\": 5}
The exit code is 1 if a case fails. With --against or --state rules are tried on logs instead, and
it is 0 whether or not they match.")]
pub struct RulesTestArgs {
    /// Files, folders and archives of rules, or rules by id, name or title; those of the
    /// configuration without any
    #[arg(value_name = "PATH|RULE")]
    pub rules: Vec<String>,
    /// Tries the rules on these logs: files or patterns, plain or compressed; `-` is standard
    /// input
    #[arg(long, value_name = "PATH", num_args = 1.., conflicts_with = "state")]
    pub against: Vec<PathBuf>,
    /// Tries the rules on the events that are stored in this folder
    #[arg(long, value_name = "DIR")]
    pub state: Option<PathBuf>,
    /// How many of the events that a rule matches are shown
    #[arg(long, value_name = "N", default_value_t = 3)]
    pub samples: usize,
    /// Prints one JSON object on a line; the last is the summary
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `rules coverage`.
#[derive(Clone, Debug, Args)]
#[command(after_help = "Examples:
  seerflow-dataflow rules coverage
  seerflow-dataflow rules coverage ./rules --level high --json
  seerflow-dataflow rules coverage --navigator layer.json

Tags say which tactics and which techniques a rule is about, and not which belong together: a rule
counts once for each of its tactics with each of its techniques. The layer opens in the ATT&CK
Navigator by `Open Existing Layer`.")]
pub struct RulesCoverageArgs {
    /// Which rules.
    #[command(flatten)]
    pub filter: RulesFilter,
    /// Writes a layer for the ATT&CK Navigator there; `-` is standard output, in place of the
    /// table
    #[arg(long, value_name = "FILE")]
    pub navigator: Option<PathBuf>,
    /// Prints one JSON object
    #[arg(long)]
    pub json: bool,
}
