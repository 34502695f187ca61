//! Turns botocore's service models into Rust: one file per service of `services.json`, included by `src/lib.rs`.
//!
//! Only implemented operations get types. The others keep name and route, which is what a 501 needs.

use std::path::Path;
use std::{env, fs};

#[path = "build/model.rs"]
mod model;
#[path = "build/names.rs"]
mod names;
#[path = "build/plan.rs"]
mod plan;
#[path = "build/tables.rs"]
mod tables;
#[path = "build/types.rs"]
mod types;

fn main() {
    let out = env::var("OUT_DIR").expect("cargo sets OUT_DIR");
    for folder in ["build", "aws", "patches", "services.json"] {
        println!("cargo::rerun-if-changed={folder}");
    }
    let services = model::read(Path::new("services.json"));
    let mut modules = String::new();
    for (name, config) in model::entries(&services) {
        let plan = plan::Plan::new(name, config);
        let code = types::emit(&plan) + &tables::emit(&plan);
        fs::write(Path::new(&out).join(format!("{name}.rs")), code).expect("OUT_DIR is writable");
        modules += &module(name);
    }
    modules += &tables::service_list(model::entries(&services).map(|(name, _)| name));
    fs::write(Path::new(&out).join("services.rs"), modules).expect("OUT_DIR is writable");
}

fn module(name: &str) -> String {
    format!(
        "/// Generated from `aws/{name}.json`.\n\
         #[allow(missing_docs, non_upper_case_globals, clippy::all, unused_qualifications)]\n\
         #[rustfmt::skip]\n\
         pub mod {name} {{\n    include!(concat!(env!(\"OUT_DIR\"), \"/{name}.rs\"));\n}}\n\n"
    )
}
