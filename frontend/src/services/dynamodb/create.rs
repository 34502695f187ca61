//! CreateTable: what a table may look like, in the order and words of AWS.

use cumulog_model::dynamodb as model;
use model::{BillingMode, CreateTableInput, KeySchemaElement, KeyType, ProjectionType};

use super::address::check_table_name;
use super::encryption;
use super::error::ValidationError;
use super::policy;
use super::rows::{
    AttributeRow, IndexDefinitionRow, KeyKind, KeyRole, KeyRow, ProjectionRow, StreamRow, TableRow,
    ThroughputRow,
};
use super::streams;
use super::throughput::{self, Wanted};
use crate::call::Call;

const LOCAL_INDEXES_MAX: usize = 5;
pub(super) const GLOBAL_INDEXES_MAX: usize = 20;
const PROJECTED_ATTRIBUTES_MAX: usize = 100;
const TAGS_MAX: usize = 50;
/// Attributes that each part of a global index's key may have.
const INDEX_KEY_PARTS_MAX: usize = 4;

/// The row of the table that `input` describes, without its number.
pub(crate) fn table_row(call: &Call, input: CreateTableInput) -> Result<TableRow, ValidationError> {
    refuse_unsupported(&input)?;
    let (definitions, keys) = required_lists(&input)?;
    input
        .resource_policy
        .as_deref()
        .map_or(Ok(()), policy::check)?;
    check_lengths(&input, keys)?;
    let on_demand = input.billing_mode == Some(BillingMode::PayPerRequest);
    let wanted = Wanted {
        index: None,
        provisioned: input.provisioned_throughput.as_ref(),
        on_demand: input.on_demand_throughput.as_ref(),
        warm: input.warm_throughput.as_ref(),
    };
    let throughput = throughput::create(wanted, on_demand)?;
    let names: Vec<&str> = definitions
        .iter()
        .map(|definition| definition.attribute_name.as_str())
        .collect();
    check_definitions(&names)?;
    if keys.len() > names.len() {
        return Err(ValidationError::new(
            "Invalid KeySchema: Some index key attribute have no definition",
        ));
    }
    check_keys(keys, &names)?;
    let has_indexes =
        input.local_secondary_indexes.is_some() || input.global_secondary_indexes.is_some();
    if !has_indexes && keys.len() != definitions.len() {
        return Err(ValidationError::invalid(
            "Number of attributes in KeySchema does not exactly match number of attributes defined in \
             AttributeDefinitions",
        ));
    }
    let mut indexes = Indexes {
        table_keys: keys,
        names: &names,
        taken: Vec::new(),
        projected: 0,
    };
    let local_indexes = indexes.local(&input)?;
    let global_indexes = indexes.global(&input, on_demand)?;
    indexes.check_all_used(&input)?;
    Ok(TableRow {
        number: 0,
        id: call.random().uuid(),
        created_ms: call.now.0,
        attributes: attribute_rows(definitions)?,
        keys: key_rows(keys),
        local_indexes,
        global_indexes,
        throughput,
        stream: match &input.stream_specification {
            Some(specification) => stream_row(call, specification, STREAM_WORDS)?,
            None => None,
        },
        encryption: match &input.sse_specification {
            Some(specification) => encryption::row(call, specification)?,
            None => None,
        },
        table_class: input
            .table_class
            .as_ref()
            .map(|class| class.as_str().to_owned()),
        deletion_protection: input.deletion_protection_enabled.unwrap_or(false),
        tags: tag_rows(input.tags.as_deref().unwrap_or_default())?,
        resource_policy: input.resource_policy,
        next_index: 0,
        former_stream: None,
        time_to_live: None,
        policy_revision_ms: 0,
        insights: vec![],
        class_since_ms: None,
    })
}

/// What needs more than one region, or is no table of items.
fn refuse_unsupported(input: &CreateTableInput) -> Result<(), ValidationError> {
    let found = [
        (
            "GlobalTableSourceArn",
            input.global_table_source_arn.is_some(),
        ),
        (
            "GlobalTableSettingsReplicationMode",
            input.global_table_settings_replication_mode.is_some(),
        ),
        ("VectorIndexes", input.vector_indexes.is_some()),
    ]
    .into_iter()
    .find(|(_, present)| *present);
    match found {
        Some((name, _)) => Err(ValidationError::new(format!(
            "{name} is not supported by cumulog"
        ))),
        None => Ok(()),
    }
}

type Lists<'i> = (&'i [model::AttributeDefinition], &'i [KeySchemaElement]);

/// The model calls these optional, for tables that copy another one; ours never do.
fn required_lists(input: &CreateTableInput) -> Result<Lists<'_>, ValidationError> {
    let missing: Vec<String> = [
        (
            "attributeDefinitions",
            input.attribute_definitions.is_none(),
        ),
        ("keySchema", input.key_schema.is_none()),
    ]
    .into_iter()
    .filter(|(_, missing)| *missing)
    .map(|(member, _)| {
        format!("Value null at '{member}' failed to satisfy constraint: Member must not be null")
    })
    .collect();
    match (&input.attribute_definitions, &input.key_schema) {
        (Some(definitions), Some(keys)) => Ok((definitions, keys)),
        _ => Err(findings(&missing)),
    }
}

fn findings(findings: &[String]) -> ValidationError {
    let plural = if findings.len() == 1 { "" } else { "s" };
    ValidationError::new(format!(
        "{} validation error{plural} detected: {}",
        findings.len(),
        findings.join("; ")
    ))
}

/// Only global indexes may have more than two key attributes.
fn check_lengths(
    input: &CreateTableInput,
    keys: &[KeySchemaElement],
) -> Result<(), ValidationError> {
    check_table_name("tableName", &input.table_name)?;
    let locals = input.local_secondary_indexes.iter().flatten().enumerate();
    let locals = locals.map(|(index, local)| {
        (
            format!("localSecondaryIndexes.{}.member.keySchema", index + 1),
            &local.key_schema[..],
        )
    });
    let too_long: Vec<String> = std::iter::once(("keySchema".to_owned(), keys))
        .chain(locals)
        .filter(|(_, keys)| keys.len() > 2)
        .map(|(path, keys)| {
            let elements: Vec<String> = keys
                .iter()
                .map(|key| {
                    format!("KeySchemaElement(attributeName={}, keyType={})", key.attribute_name, key.key_type.as_str())
                })
                .collect();
            format!(
                "Value '[{}]' at '{path}' failed to satisfy constraint: Member must have length less than or equal to 2",
                elements.join(", ")
            )
        })
        .collect();
    if too_long.is_empty() {
        Ok(())
    } else {
        Err(findings(&too_long))
    }
}

/// A partition key, then perhaps a sort key, both defined.
fn check_keys(keys: &[KeySchemaElement], names: &[&str]) -> Result<(), ValidationError> {
    check_defined(keys, names)?;
    let [first, rest @ ..] = keys else {
        return Ok(());
    };
    if rest
        .iter()
        .any(|second| second.attribute_name == first.attribute_name)
    {
        return Err(same_name());
    }
    if first.key_type != KeyType::Hash {
        return Err(ValidationError::new(
            "Invalid KeySchema: The first KeySchemaElement is not a HASH key type",
        ));
    }
    if rest.iter().any(|second| second.key_type != KeyType::Range) {
        return Err(ValidationError::new(
            "Invalid KeySchema: The second KeySchemaElement is not a RANGE key type",
        ));
    }
    Ok(())
}

fn same_name() -> ValidationError {
    ValidationError::new(
        "Both the Hash Key and the Range Key element in the KeySchema have the same name",
    )
}

fn check_defined(keys: &[KeySchemaElement], names: &[&str]) -> Result<(), ValidationError> {
    if keys
        .iter()
        .all(|key| names.contains(&key.attribute_name.as_str()))
    {
        return Ok(());
    }
    let keys: Vec<&str> = keys.iter().map(|key| key.attribute_name.as_str()).collect();
    Err(ValidationError::invalid(format!(
        "Some index key attributes are not defined in AttributeDefinitions. Keys: [{}], AttributeDefinitions: [{}]",
        keys.join(", "),
        names.join(", ")
    )))
}

/// The keys of a global index: one to four partition attributes, then up to four sort attributes.
pub(super) fn check_global_keys(
    keys: &[KeySchemaElement],
    names: &[&str],
) -> Result<(), ValidationError> {
    if keys.len() <= 2
        && keys
            .iter()
            .filter(|key| key.key_type == KeyType::Hash)
            .count()
            < 2
    {
        return check_keys(keys, names);
    }
    check_defined(keys, names)?;
    let repeated = keys.iter().enumerate().any(|(index, key)| {
        keys[..index]
            .iter()
            .any(|earlier| earlier.attribute_name == key.attribute_name)
    });
    if repeated {
        return Err(ValidationError::new(
            "The KeySchema contains multiple key attributes with the same name",
        ));
    }
    let hashes = keys
        .iter()
        .take_while(|key| key.key_type == KeyType::Hash)
        .count();
    if hashes == 0 {
        return Err(ValidationError::new(
            "Invalid KeySchema: The first KeySchemaElement is not a HASH key type",
        ));
    }
    if keys[hashes..]
        .iter()
        .any(|key| key.key_type == KeyType::Hash)
    {
        return Err(ValidationError::invalid(
            "All HASH key attributes must precede RANGE key attributes in the KeySchema",
        ));
    }
    for (role, count) in [("HASH", hashes), ("RANGE", keys.len() - hashes)] {
        if count > INDEX_KEY_PARTS_MAX {
            return Err(ValidationError::invalid(format!(
                "The KeySchema exceeds the maximum allowed number of {role} key attributes"
            )));
        }
    }
    Ok(())
}

pub(super) fn key_rows(keys: &[KeySchemaElement]) -> Vec<KeyRow> {
    let role = |key_type: &KeyType| {
        if *key_type == KeyType::Hash {
            KeyRole::Hash
        } else {
            KeyRole::Range
        }
    };
    keys.iter()
        .map(|key| KeyRow {
            name: key.attribute_name.clone(),
            role: role(&key.key_type),
        })
        .collect()
}

fn first_repeated<T: PartialEq>(list: &[T]) -> Option<&T> {
    let mut elements = list.iter().enumerate();
    elements
        .find(|(index, element)| list[..*index].contains(element))
        .map(|(_, element)| element)
}

/// No attribute has two types.
pub(super) fn check_definitions(names: &[&str]) -> Result<(), ValidationError> {
    match first_repeated(names) {
        Some(name) => Err(ValidationError::new(format!(
            "Attribute Name is duplicated: {name}"
        ))),
        None => Ok(()),
    }
}

pub(super) fn attribute_rows(
    definitions: &[model::AttributeDefinition],
) -> Result<Vec<AttributeRow>, ValidationError> {
    let mut rows: Vec<AttributeRow> = Vec::with_capacity(definitions.len());
    for definition in definitions {
        let name = &definition.attribute_name;
        let kind = KeyKind::parse(definition.attribute_type.as_str()).ok_or_else(|| {
            ValidationError::invalid(format!(
                "Unknown AttributeType: {}",
                definition.attribute_type.as_str()
            ))
        })?;
        rows.push(AttributeRow {
            name: name.clone(),
            kind,
        });
    }
    Ok(rows)
}

/// What the indexes checked so far have used up.
struct Indexes<'i> {
    table_keys: &'i [KeySchemaElement],
    names: &'i [&'i str],
    taken: Vec<String>,
    /// NonKeyAttributes of all indexes.
    projected: usize,
}

impl Indexes<'_> {
    fn local(
        &mut self,
        input: &CreateTableInput,
    ) -> Result<Vec<IndexDefinitionRow>, ValidationError> {
        let Some(indexes) = &input.local_secondary_indexes else {
            return Ok(vec![]);
        };
        if indexes.is_empty() {
            return Err(ValidationError::invalid(
                "List of LocalSecondaryIndexes is empty",
            ));
        }
        if self.table_keys.len() != 2 {
            return Err(ValidationError::invalid(
                "Table KeySchema does not have a range key, which is required when specifying a LocalSecondaryIndex",
            ));
        }
        let rows = indexes
            .iter()
            .map(|index| {
                check_keys(&index.key_schema, self.names)?;
                self.check_local_keys(index)?;
                self.row(
                    &index.index_name,
                    &index.key_schema,
                    &index.projection,
                    ThroughputRow::default(),
                )
            })
            .collect::<Result<Vec<_>, _>>()?;
        if indexes.len() > LOCAL_INDEXES_MAX {
            return Err(ValidationError::invalid(format!(
                "Number of LocalSecondaryIndexes exceeds per-table limit of {LOCAL_INDEXES_MAX}"
            )));
        }
        Ok(rows)
    }

    fn check_local_keys(&self, index: &model::LocalSecondaryIndex) -> Result<(), ValidationError> {
        let name = &index.index_name;
        if index.key_schema.len() != 2 {
            return Err(ValidationError::invalid(format!(
                "Index KeySchema does not have a range key for index: {name}"
            )));
        }
        let (hash, table_hash) = (
            &index.key_schema[0].attribute_name,
            &self.table_keys[0].attribute_name,
        );
        if hash != table_hash {
            return Err(ValidationError::invalid(format!(
                "Index KeySchema does not have the same leading hash key as table KeySchema for index: {name}. \
                 index hash key: {hash}, table hash key: {table_hash}"
            )));
        }
        Ok(())
    }

    fn global(
        &mut self,
        input: &CreateTableInput,
        on_demand: bool,
    ) -> Result<Vec<IndexDefinitionRow>, ValidationError> {
        let Some(indexes) = &input.global_secondary_indexes else {
            return Ok(vec![]);
        };
        if indexes.is_empty() {
            return Err(ValidationError::invalid(
                "List of GlobalSecondaryIndexes is empty",
            ));
        }
        let rows = indexes
            .iter()
            .map(|index| {
                check_global_keys(&index.key_schema, self.names)?;
                check_projection(&index.projection)?;
                let throughput = index_throughput(index, on_demand)?;
                self.row(
                    &index.index_name,
                    &index.key_schema,
                    &index.projection,
                    throughput,
                )
            })
            .collect::<Result<Vec<_>, _>>()?;
        if indexes.len() > GLOBAL_INDEXES_MAX {
            return Err(ValidationError::invalid(format!(
                "GlobalSecondaryIndex count exceeds the per-table limit of {GLOBAL_INDEXES_MAX}"
            )));
        }
        Ok(rows)
    }

    fn row(
        &mut self,
        name: &str,
        keys: &[KeySchemaElement],
        projection: &model::Projection,
        throughput: ThroughputRow,
    ) -> Result<IndexDefinitionRow, ValidationError> {
        let projection = check_projection(projection)?;
        if let ProjectionRow::Include(names) = &projection {
            self.projected += names.len();
        }
        if self.projected > PROJECTED_ATTRIBUTES_MAX {
            return Err(ValidationError::invalid(format!(
                "Number of NonKeyAttributes of all indexes exceeds per-table limit of {PROJECTED_ATTRIBUTES_MAX}"
            )));
        }
        if self.taken.iter().any(|taken| taken == name) {
            return Err(ValidationError::invalid(format!(
                "Duplicate index name: {name}"
            )));
        }
        self.taken.push(name.to_owned());
        let number = u32::try_from(self.taken.len() - 1).expect("a table has few indexes");
        Ok(IndexDefinitionRow {
            number,
            name: name.to_owned(),
            keys: key_rows(keys),
            projection,
            throughput,
            filling: false,
        })
    }

    /// Attributes are defined for keys only.
    fn check_all_used(&self, input: &CreateTableInput) -> Result<(), ValidationError> {
        let local = input
            .local_secondary_indexes
            .iter()
            .flatten()
            .flat_map(|index| &index.key_schema);
        let global = input
            .global_secondary_indexes
            .iter()
            .flatten()
            .flat_map(|index| &index.key_schema);
        let mut used: Vec<&str> = Vec::new();
        for key in self.table_keys.iter().chain(local).chain(global) {
            if !used.contains(&key.attribute_name.as_str()) {
                used.push(&key.attribute_name);
            }
        }
        if self.names.iter().all(|name| used.contains(name)) {
            return Ok(());
        }
        Err(ValidationError::invalid(format!(
            "Some AttributeDefinitions are not used. AttributeDefinitions: [{}], keys used: [{}]",
            self.names.join(", "),
            used.join(", ")
        )))
    }
}

pub(super) fn check_projection(
    projection: &model::Projection,
) -> Result<ProjectionRow, ValidationError> {
    let Some(kind) = &projection.projection_type else {
        return Err(ValidationError::invalid("Unknown ProjectionType: null"));
    };
    match (kind, &projection.non_key_attributes) {
        (ProjectionType::Include, Some(names)) => match first_repeated(names) {
            Some(name) => Err(ValidationError::invalid(format!(
                "Duplicate element in NonKeyAttributes: {name}"
            ))),
            None => Ok(ProjectionRow::Include(names.clone())),
        },
        (ProjectionType::Include, None) => Err(ValidationError::invalid(
            "ProjectionType is INCLUDE, but NonKeyAttributes is not specified",
        )),
        (kind, Some(_)) => Err(ValidationError::invalid(format!(
            "ProjectionType is {}, but NonKeyAttributes is specified",
            kind.as_str()
        ))),
        (ProjectionType::KeysOnly, None) => Ok(ProjectionRow::KeysOnly),
        (_, None) => Ok(ProjectionRow::All),
    }
}

/// What an index is made with.
pub(super) fn index_throughput(
    index: &model::GlobalSecondaryIndex,
    on_demand: bool,
) -> Result<ThroughputRow, ValidationError> {
    let wanted = Wanted {
        index: Some(&index.index_name),
        provisioned: index.provisioned_throughput.as_ref(),
        on_demand: index.on_demand_throughput.as_ref(),
        warm: index.warm_throughput.as_ref(),
    };
    throughput::create(wanted, on_demand)
}

/// What a table says of its stream, before that begins. AWS words what is wrong with it by what is done to the table.
pub(super) fn stream_row(
    call: &Call,
    specification: &model::StreamSpecification,
    [required, not_allowed]: [&'static str; 2],
) -> Result<Option<StreamRow>, ValidationError> {
    match (
        &specification.stream_view_type,
        specification.stream_enabled,
    ) {
        (Some(view), true) => Ok(Some(StreamRow {
            view: view.as_str().to_owned(),
            label: streams::label(call.now.0),
            number: 0,
        })),
        (None, false) => Ok(None),
        (None, true) => Err(ValidationError::invalid(required)),
        (Some(_), false) => Err(ValidationError::invalid(not_allowed)),
    }
}

const STREAM_WORDS: [&str; 2] = [
    "Table is being created with a stream enabled, UpdateViewType is required",
    "Table is being created with a stream disabled, UpdateViewType should not be specified",
];

/// Tags as they are stored, if a table may have them.
pub(super) fn tag_rows(tags: &[model::Tag]) -> Result<Vec<(String, String)>, ValidationError> {
    let keys: Vec<&str> = tags.iter().map(|tag| tag.key.as_str()).collect();
    if let Some(key) = first_repeated(&keys) {
        return Err(ValidationError::new(format!(
            "Duplicate Tag Keys provided as input: Duplicate Tag Key found {key}"
        )));
    }
    if let Some(key) = keys.iter().find(|key| key.starts_with("aws:")) {
        return Err(ValidationError::new(format!(
            "Tag Key cannot be prefixed with aws:, Key: {key}"
        )));
    }
    let allowed = |letter: char| {
        letter.is_alphanumeric() || letter.is_whitespace() || "_.:/=+-@".contains(letter)
    };
    for tag in tags {
        if !tag.key.chars().all(allowed) {
            return Err(ValidationError::new(format!(
                "The Tag Key provided is invalid, Key: {}",
                tag.key
            )));
        }
        if !tag.value.chars().all(allowed) {
            return Err(ValidationError::new(format!(
                "The Tag Value provided is invalid, Value: {}",
                tag.value
            )));
        }
    }
    if tags.len() > TAGS_MAX {
        return Err(ValidationError::new(
            "Number of Tags exceed the current limit for the provided ResourceArn",
        ));
    }
    Ok(tags
        .iter()
        .map(|tag| (tag.key.clone(), tag.value.clone()))
        .collect())
}
