//! Puts the rules of `rules/builtin` and their cases into the program: lists of names and texts. The texts themselves are in
//! what is written, so a build folder that several checkouts share never looks for a file of another one.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::{env, fs};

fn main() {
    let root = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").expect("cargo says where it is"));
    println!("cargo::rerun-if-changed=rules/builtin");
    println!("cargo::rerun-if-changed=build.rs");
    let mut files = Vec::new();
    find(&root.join("rules/builtin"), &mut files);
    files.sort();
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo says where to"));
    for (end, list) in [(".yml", "builtin_rules.rs"), (".cases.jsonl", "builtin_cases.rs")] {
        let ends = |file: &&PathBuf| file.to_string_lossy().ends_with(end);
        let code = code(&root, files.iter().filter(ends));
        fs::write(out.join(list), code).expect("the build folder can be written");
    }
}

/// The list of files as Rust.
fn code<'f>(root: &Path, files: impl Iterator<Item = &'f PathBuf>) -> String {
    let mut code = String::from("&[\n");
    for file in files {
        let name = file.strip_prefix(root).expect("it was found there").display().to_string();
        let text = fs::read_to_string(file).expect("a rule is text");
        writeln!(code, "    ({name:?}, {text:?}),").expect("memory takes it");
    }
    code.push(']');
    code
}

fn find(folder: &Path, files: &mut Vec<PathBuf>) {
    let entries = fs::read_dir(folder).expect("the rules are there");
    for entry in entries {
        let path = entry.expect("a folder can be read").path();
        if path.is_dir() {
            find(&path, files);
        } else {
            files.push(path);
        }
    }
}
