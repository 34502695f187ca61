//! The Rust types: structs, unions, enums, operations.

use std::fmt::Write;

use serde_json::Value;

use crate::model::{entries, flag, strings};
use crate::names;
use crate::plan::{Plan, Structure};

/// All types of a service. Paths are absolute, as shapes may be called `Option` or `String`.
pub(crate) fn emit(plan: &Plan) -> String {
    let mut out = String::from("use cumulog_shape as shape;\n\n");
    for operation in &plan.operations {
        emit_operation(operation, &mut out);
    }
    for (name, structure) in &plan.structures {
        if flag(&structure.body, "union") {
            emit_union(plan, name, structure, &mut out);
        } else {
            emit_struct(plan, name, structure, &mut out);
        }
        emit_common(name, &mut out);
    }
    for name in &plan.shapes {
        let shape = plan.shape(name);
        if shape["enum"].is_array() {
            emit_enum(
                &plan.type_name(name),
                &strings(&shape["enum"]).collect::<Vec<_>>(),
                &mut out,
            );
        }
    }
    out
}

fn emit_operation(name: &str, out: &mut String) {
    assert!(
        !name.contains(|letter: char| !letter.is_ascii_alphanumeric()),
        "{name} is no Rust name"
    );
    *out += &format!(
        "#[derive(Debug)]\npub struct {name};\n\
         impl shape::Operation for {name} {{\n    type Input = {name}Input;\n    type Output = {name}Output;\n    \
         const SCHEMA: &'static shape::OperationSchema = &OPERATION_{name};\n}}\n\n"
    );
}

fn emit_struct(plan: &Plan, name: &str, structure: &Structure, out: &mut String) {
    let fields: Vec<Field> = fields(plan, name, structure);
    let clone = if is_streaming(structure, plan) {
        ""
    } else {
        "Clone, "
    };
    let mut code = format!("#[derive({clone}Default)]\npub struct {name} {{\n");
    for field in &fields {
        let Field { name, ty, required } = field;
        let ty = if *required {
            ty.clone()
        } else {
            format!("::std::option::Option<{ty}>")
        };
        let _ = writeln!(code, "    pub {name}: {ty},");
    }
    let _ = write!(
        code,
        "}}\nimpl shape::Struct for {name} {{\n{}",
        schema_method(name)
    );
    let arm = |view: &str, member: &str, required: bool, name: &str| match required {
        true => format!("shape::Item::{view}({member}self.{name})"),
        false => format!("shape::{view}({member}self.{name})"),
    };
    for (view, kind, receiver, member) in [
        ("view", "View", "get(&self", "&"),
        ("slot", "Slot", "slot(&mut self", "&mut "),
    ] {
        let _ = writeln!(
            code,
            "    fn {receiver}, i: usize) -> shape::{kind}<'_> {{\n        match i {{"
        );
        for (i, field) in fields.iter().enumerate() {
            let _ = writeln!(
                code,
                "            {i} => {},",
                arm(view, member, field.required, &field.name)
            );
        }
        let _ = writeln!(
            code,
            "            _ => shape::{kind}::None,\n        }}\n    }}"
        );
    }
    *out += &code;
    *out += "}\n";
}

fn emit_union(plan: &Plan, name: &str, structure: &Structure, out: &mut String) {
    let fields = fields(plan, name, structure);
    let variants: Vec<String> = entries(&structure.body["members"])
        .map(|(name, _)| names::pascal(name))
        .collect();
    let first = variants
        .first()
        .unwrap_or_else(|| panic!("the union {name} has no member"));
    let mut code = format!("#[derive(Clone)]\npub enum {name} {{\n");
    for (variant, field) in variants.iter().zip(&fields) {
        let _ = writeln!(code, "    {variant}({}),", field.ty);
    }
    let _ = write!(
        code,
        "}}\nimpl ::std::default::Default for {name} {{\n    fn default() -> Self {{ Self::{first}(::std::default::Default::default()) }}\n}}\n\
         impl shape::Struct for {name} {{\n{}    fn get(&self, i: usize) -> shape::View<'_> {{\n        match (self, i) {{\n",
        schema_method(name)
    );
    for (i, variant) in variants.iter().enumerate() {
        let _ = writeln!(
            code,
            "            (Self::{variant}(value), {i}) => shape::Item::view(value),"
        );
    }
    code += "            _ => shape::View::None,\n        }\n    }\n    fn slot(&mut self, i: usize) -> shape::Slot<'_> {\n        match i {\n";
    for (i, variant) in variants.iter().enumerate() {
        let _ = writeln!(
            code,
            "            {i} => {{\n                if !matches!(self, Self::{variant}(_)) {{ *self = Self::{variant}(::std::default::Default::default()); }}\n                \
             match self {{ Self::{variant}(value) => shape::Item::slot(value), #[allow(unreachable_patterns)] _ => shape::Slot::None }}\n            }}"
        );
    }
    code += "            _ => shape::Slot::None,\n        }\n    }\n    fn active(&self) -> ::std::option::Option<usize> {\n        ::std::option::Option::Some(match self {\n";
    for (i, variant) in variants.iter().enumerate() {
        let _ = writeln!(code, "            Self::{variant}(_) => {i},");
    }
    *out += &code;
    *out += "        })\n    }\n}\n";
}

/// What reflection gives for free, so that it costs no derive.
fn emit_common(name: &str, out: &mut String) {
    *out += &format!(
        "impl ::std::fmt::Debug for {name} {{\n    fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {{ shape::debug(self, f) }}\n}}\n\
         impl ::std::cmp::PartialEq for {name} {{\n    fn eq(&self, other: &Self) -> bool {{ shape::equal(self, other) }}\n}}\n\n"
    );
}

fn emit_enum(name: &str, values: &[&str], out: &mut String) {
    let variants = names::variants(values);
    let mut code = format!("#[derive(Clone, Debug, PartialEq, Eq)]\npub enum {name} {{\n");
    for variant in &variants {
        let _ = writeln!(code, "    {variant},");
    }
    let _ = write!(
        code,
        "    /// A value that the model does not have.\n    Unknown(::std::string::String),\n}}\nimpl {name} {{\n    \
         pub fn as_str(&self) -> &str {{\n        match self {{\n"
    );
    for (variant, value) in variants.iter().zip(values) {
        let _ = writeln!(code, "            Self::{variant} => {value:?},");
    }
    let _ = write!(
        code,
        "            Self::Unknown(value) => value,\n        }}\n    }}\n}}\n\
         impl ::std::convert::From<&str> for {name} {{\n    fn from(text: &str) -> Self {{\n        match text {{\n"
    );
    for (variant, value) in variants.iter().zip(values) {
        let _ = writeln!(code, "            {value:?} => Self::{variant},");
    }
    *out += &code;
    *out += &format!(
        "            _ => Self::Unknown(text.into()),\n        }}\n    }}\n}}\nshape::string_enum!({name});\n\n"
    );
}

fn schema_method(name: &str) -> String {
    format!("    fn schema(&self) -> &'static shape::Schema {{ &SCHEMA_{name} }}\n")
}

struct Field {
    name: String,
    ty: String,
    required: bool,
}

fn fields(plan: &Plan, type_name: &str, structure: &Structure) -> Vec<Field> {
    let required: Vec<&str> = strings(&structure.body["required"]).collect();
    entries(&structure.body["members"])
        .map(|(name, member)| {
            let shape = member["shape"].as_str().expect("members have shapes");
            let streaming = flag(member, "streaming") || flag(plan.shape(shape), "streaming");
            let plain = if streaming {
                "shape::ByteStream".into()
            } else {
                rust_type(plan, shape)
            };
            let ty = if plan.is_boxed(type_name, name) {
                format!("::std::boxed::Box<{plain}>")
            } else {
                plain
            };
            // A body is there or empty; there is no third state to tell apart.
            let required = required.contains(&name) || streaming;
            Field {
                name: names::field(name),
                ty,
                required,
            }
        })
        .collect()
}

fn is_streaming(structure: &Structure, plan: &Plan) -> bool {
    entries(&structure.body["members"]).any(|(_, member)| {
        flag(member, "streaming")
            || flag(
                plan.shape(member["shape"].as_str().unwrap_or_default()),
                "streaming",
            )
    })
}

fn rust_type(plan: &Plan, name: &str) -> String {
    let shape = plan.shape(name);
    let element = |part: &str| {
        let element = shape[part]["shape"].as_str();
        rust_type(
            plan,
            element.unwrap_or_else(|| panic!("{name} has no {part}")),
        )
    };
    match shape["type"].as_str().unwrap_or_default() {
        "structure" if flag(shape, "document") => "shape::Document".into(),
        "structure" => plan.path(name, &plan.type_name(name)),
        "list" => format!("::std::vec::Vec<{}>", element("member")),
        "map" => format!("shape::Map<{}>", element("value")),
        kind => plain_type(plan, kind, shape, name),
    }
}

fn plain_type(plan: &Plan, kind: &str, shape: &Value, name: &str) -> String {
    match kind {
        "string" if shape["enum"].is_array() => plan.type_name(name),
        "string" => "::std::string::String".into(),
        "blob" => "shape::Bytes".into(),
        "boolean" => "bool".into(),
        "integer" => "i32".into(),
        "long" => "i64".into(),
        "float" => "f32".into(),
        "double" => "f64".into(),
        "timestamp" => "shape::Timestamp".into(),
        other => panic!("{name} is of type {other}, which is not generated"),
    }
}
