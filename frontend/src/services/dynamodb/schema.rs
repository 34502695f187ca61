//! Tables as operations see them, with their keys and indexes.

use std::collections::HashMap;
use std::sync::Arc;

use cumulog_engine::Read;
use parking_lot::RwLock;

use super::address::Address;
use super::error::{Error, ValidationError};
use super::key;
use super::rows::{IndexDefinitionRow, KeyKind, KeyRole, KeyRow, ProjectionRow, TABLES, TableRow};
use super::value::{Item, Value, type_name};
use crate::call::Call;

/// A table's schema, decoded.
#[derive(Debug)]
pub(crate) struct Table {
    pub(crate) row: TableRow,
    /// As the client would write it, without the ARN.
    pub(crate) name: String,
    pub(crate) arn: String,
    pub(crate) hash: KeyAttribute,
    pub(crate) range: Option<KeyAttribute>,
    /// Global ones first, each kind in the order of their definition.
    pub(crate) indexes: Vec<Index>,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct KeyAttribute {
    pub(crate) name: String,
    pub(crate) kind: KeyKind,
}

impl KeyAttribute {
    /// Keys are never empty. AWS words that in two ways, one for keys that are looked up.
    pub(crate) fn check_not_empty(&self, value: &Value, how: &str) -> Result<(), ValidationError> {
        if is_empty(value) {
            return Err(ValidationError::new(empty_key(how, self)));
        }
        Ok(())
    }
}

/// A secondary index. Global ones may have up to four attributes in each part of their key.
#[derive(Debug)]
pub(crate) struct Index {
    pub(crate) number: u32,
    pub(crate) name: String,
    pub(crate) global: bool,
    pub(crate) hash: Vec<KeyAttribute>,
    pub(crate) range: Vec<KeyAttribute>,
    pub(crate) projection: ProjectionRow,
    /// It lacks entries of items from before it was made.
    pub(crate) filling: bool,
}

impl KeyKind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            KeyKind::S => "S",
            KeyKind::N => "N",
            KeyKind::B => "B",
        }
    }

    pub(crate) fn parse(name: &str) -> Option<KeyKind> {
        [KeyKind::S, KeyKind::N, KeyKind::B]
            .into_iter()
            .find(|kind| kind.name() == name)
    }

    pub(crate) fn fits(self, value: &Value) -> bool {
        self.name() == type_name(value)
    }
}

/// Decoded tables by their key. An entry counts only as long as the stored row is the one that it was made from, so a
/// cache that is behind or ahead of a reader's state does no harm.
#[derive(Default)]
pub(crate) struct Cache {
    tables: RwLock<HashMap<Vec<u8>, Cached>>,
}

/// The stored row and what it decodes to.
type Cached = (Vec<u8>, Arc<Table>);

const CACHED_TABLES_MAX: usize = 10_000;

impl Table {
    /// The table that a data operation names.
    pub(crate) fn open(call: &Call, read: &impl Read, given: &str) -> Result<Arc<Table>, Error> {
        let address = Address::parse(call, given)?;
        Table::find(call, read, &address)?.ok_or(Error::NoSuchTable)
    }

    /// The table at an address.
    pub(crate) fn find(
        call: &Call,
        read: &impl Read,
        address: &Address<'_>,
    ) -> Result<Option<Arc<Table>>, Error> {
        let key = address.encoded();
        let Some(stored) = read.get(TABLES.space(), &key) else {
            return Ok(None);
        };
        let cache = call.state::<Cache>();
        if let Some((row, table)) = cache.tables.read().get(&key)
            && row == stored
        {
            return Ok(Some(Arc::clone(table)));
        }
        let row = TABLES
            .get(read, &address.key())?
            .ok_or(Error::NoSuchTable)?;
        let table = Arc::new(Table::new(row, address));
        let mut tables = cache.tables.write();
        if tables.len() >= CACHED_TABLES_MAX {
            tables.clear();
        }
        tables.insert(key, (stored.to_vec(), Arc::clone(&table)));
        Ok(Some(table))
    }

    pub(crate) fn new(row: TableRow, address: &Address<'_>) -> Table {
        let attribute = |key: &KeyRow| KeyAttribute {
            name: key.name.clone(),
            kind: row
                .attributes
                .iter()
                .find(|a| a.name == key.name)
                .map_or(KeyKind::S, |a| a.kind),
        };
        let with_role = |keys: &[KeyRow], role| {
            keys.iter()
                .filter(|key| key.role == role)
                .map(attribute)
                .collect::<Vec<_>>()
        };
        let index = |definition: &IndexDefinitionRow, global| Index {
            number: definition.number,
            name: definition.name.clone(),
            global,
            hash: with_role(&definition.keys, KeyRole::Hash),
            range: with_role(&definition.keys, KeyRole::Range),
            projection: definition.projection.clone(),
            filling: definition.filling,
        };
        let global = row
            .global_indexes
            .iter()
            .map(|definition| index(definition, true));
        let local = row
            .local_indexes
            .iter()
            .map(|definition| index(definition, false));
        let indexes = global.chain(local).collect();
        let hash = with_role(&row.keys, KeyRole::Hash)
            .pop()
            .expect("a table has a partition key");
        let range = with_role(&row.keys, KeyRole::Range).pop();
        Table {
            name: address.name.to_string(),
            arn: address.arn(),
            hash,
            range,
            indexes,
            row,
        }
    }

    /// The index of this name.
    pub(crate) fn index(&self, name: &str) -> Result<&Index, ValidationError> {
        self.indexes
            .iter()
            .find(|index| index.name == name)
            .ok_or_else(|| {
                ValidationError::new(format!(
                    "The table does not have the specified index: {name}"
                ))
            })
    }

    /// The key attributes, the partition key first.
    pub(crate) fn keys(&self) -> impl Iterator<Item = &KeyAttribute> + Clone {
        std::iter::once(&self.hash).chain(&self.range)
    }

    /// Whether `name` is a key attribute of the table itself.
    pub(crate) fn is_key(&self, name: &str) -> bool {
        self.keys().any(|key| key.name == name)
    }

    /// Whether anything is derived from the attributes of its items.
    pub(crate) fn derives(&self) -> bool {
        !self.indexes.is_empty() || self.row.stream.is_some() || self.row.time_to_live.is_some()
    }

    /// Whether item collections have a size limit: only with local indexes.
    pub(crate) fn has_local_indexes(&self) -> bool {
        self.indexes.iter().any(|index| !index.global)
    }

    /// The place of an item whose key attributes have been checked.
    pub(crate) fn item_key(&self, item: &Item) -> Vec<u8> {
        let value = |attribute: &KeyAttribute| {
            item.get(&attribute.name)
                .expect("key attributes have been checked")
        };
        key::item_key(
            self.row.number,
            value(&self.hash),
            self.range.as_ref().map(value),
        )
    }

    /// The place of the item with exactly this key, which a client gave.
    pub(crate) fn checked_key(&self, given: &Item) -> Result<Vec<u8>, ValidationError> {
        if given.len() != self.keys().count() {
            return Err(mismatch());
        }
        for attribute in self.keys() {
            self.check_key_attribute(attribute, given.get(&attribute.name).ok_or_else(mismatch)?)?;
        }
        Ok(self.item_key(given))
    }

    /// Checks one attribute of a key that a client gave.
    pub(crate) fn check_key_attribute(
        &self,
        attribute: &KeyAttribute,
        value: &Value,
    ) -> Result<(), ValidationError> {
        if !attribute.kind.fits(value) {
            return Err(mismatch());
        }
        attribute.check_not_empty(value, "were invalid:")?;
        self.check_key_size(attribute, value)
    }

    /// Checks that a whole item fits the table: its keys, and the keys that its indexes want.
    pub(crate) fn check_item(&self, item: &Item) -> Result<(), ValidationError> {
        for attribute in self.keys() {
            let value = item.get(&attribute.name).ok_or_else(|| {
                ValidationError::invalid(format!("Missing the key {} in the item", attribute.name))
            })?;
            if !attribute.kind.fits(value) {
                return Err(ValidationError::invalid(format!(
                    "Type mismatch for key {} expected: {} actual: {}",
                    attribute.name,
                    attribute.kind.name(),
                    type_name(value)
                )));
            }
            attribute.check_not_empty(value, "are not valid.")?;
            self.check_key_size(attribute, value)?;
        }
        self.check_index_keys(item, |_| true)
    }

    /// An update may find out only from the item that it gives an index a key of the wrong type.
    pub(crate) fn check_index_key_types(
        &self,
        item: &Item,
        changed: impl Fn(&str) -> bool,
    ) -> Result<(), ValidationError> {
        let mut keys = self
            .indexes
            .iter()
            .flat_map(Index::keys)
            .filter(|(key, _)| changed(&key.name));
        let misfit = keys.any(|(key, _)| {
            item.get(&key.name)
                .is_some_and(|value| !key.kind.fits(value))
        });
        if misfit {
            return Err(ValidationError::new(
                "The update expression attempted to update the secondary index key to unsupported type",
            ));
        }
        Ok(())
    }

    /// An item need not have the keys of an index, but what it has must be fit to be one.
    pub(crate) fn check_index_keys(
        &self,
        item: &Item,
        changed: impl Fn(&str) -> bool,
    ) -> Result<(), ValidationError> {
        for index in &self.indexes {
            for (attribute, is_hash) in index.keys().filter(|(key, _)| changed(&key.name)) {
                let Some(value) = item.get(&attribute.name) else {
                    continue;
                };
                if !attribute.kind.fits(value) {
                    return Err(index_type_mismatch(index, attribute, type_name(value)));
                }
                if is_empty(value) {
                    return Err(ValidationError::new(format!(
                        "One or more parameter values are not valid. A value specified for a secondary index key is \
                         not supported. The AttributeValue for a key attribute cannot contain an empty {} value. \
                         IndexName: {}, IndexKey: {}",
                        kind_word(attribute.kind),
                        index.name,
                        attribute.name
                    )));
                }
                check_size(value, is_hash)?;
            }
        }
        Ok(())
    }

    fn check_key_size(
        &self,
        attribute: &KeyAttribute,
        value: &Value,
    ) -> Result<(), ValidationError> {
        check_size(value, *attribute == self.hash)
    }
}

impl Index {
    /// All key attributes, and whether each is part of the partition key.
    pub(crate) fn keys(&self) -> impl Iterator<Item = (&KeyAttribute, bool)> + Clone {
        self.hash
            .iter()
            .map(|key| (key, true))
            .chain(self.range.iter().map(|key| (key, false)))
    }

    pub(crate) fn is_key(&self, name: &str) -> bool {
        self.keys().any(|(key, _)| key.name == name)
    }

    /// The key of `item`'s entry; `None` if it has none, because it lacks an attribute of the index's key, or had one that
    /// is unfit before there was the index.
    pub(crate) fn entry_key(&self, table: &Table, item: &Item) -> Option<Vec<u8>> {
        let fits = |(key, is_hash): (&KeyAttribute, bool)| {
            item.get(&key.name).is_some_and(|value| {
                key.kind.fits(value) && !is_empty(value) && check_size(value, is_hash).is_ok()
            })
        };
        self.keys().all(fits).then(|| self.start_key(table, item))
    }

    /// The place of the entry with these keys, which are all there.
    pub(crate) fn start_key(&self, table: &Table, keys: &Item) -> Vec<u8> {
        let values = |attributes: &'_ [KeyAttribute]| {
            attributes
                .iter()
                .filter_map(|key| keys.get(&key.name))
                .collect::<Vec<_>>()
        };
        let primary: Vec<&Value> = table.keys().filter_map(|key| keys.get(&key.name)).collect();
        key::index_key(
            table.row.number,
            self.number,
            values(&self.hash),
            values(&self.range),
            primary,
        )
    }

    /// The part of `item` that the index offers.
    pub(crate) fn project(&self, table: &Table, item: Item) -> Item {
        match &self.projection {
            ProjectionRow::All => item,
            projection => item
                .into_iter()
                .filter(|(name, _)| {
                    table.is_key(name)
                        || self.is_key(name)
                        || matches!(projection, ProjectionRow::Include(names) if names.contains(name))
                })
                .collect(),
        }
    }

    /// Bytes of the part of `item` that the index offers.
    pub(crate) fn projected_size(&self, table: &Table, item: &Item, whole: usize) -> usize {
        match &self.projection {
            ProjectionRow::All => whole,
            projection => item
                .iter()
                .filter(|(name, _)| {
                    table.is_key(name)
                        || self.is_key(name)
                        || matches!(projection, ProjectionRow::Include(names) if names.iter().any(|n| n == name))
                })
                .map(|(name, value)| name.len() + super::size::value_size(value))
                .sum(),
        }
    }
}

pub(crate) fn index_type_mismatch(
    index: &Index,
    attribute: &KeyAttribute,
    actual: &str,
) -> ValidationError {
    ValidationError::invalid(format!(
        "Type mismatch for Index Key {} Expected: {} Actual: {actual} IndexName: {}",
        attribute.name,
        attribute.kind.name(),
        index.name
    ))
}

fn mismatch() -> ValidationError {
    ValidationError::new("The provided key element does not match the schema")
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::S(text) => text.is_empty(),
        Value::B(bytes) => bytes.is_empty(),
        _ => false,
    }
}

fn kind_word(kind: KeyKind) -> &'static str {
    if kind == KeyKind::B {
        "binary"
    } else {
        "string"
    }
}

/// AWS words this twice: for keys that are looked up, and for keys within items.
fn empty_key(how: &str, attribute: &KeyAttribute) -> String {
    format!(
        "One or more parameter values {how} The AttributeValue for a key attribute cannot contain an empty {} value. \
         Key: {}",
        kind_word(attribute.kind),
        attribute.name
    )
}

fn check_size(value: &Value, is_hash: bool) -> Result<(), ValidationError> {
    let bytes = match value {
        Value::S(text) => text.len(),
        Value::B(bytes) => bytes.len(),
        _ => 0,
    };
    match is_hash {
        true if bytes > 2048 => Err(ValidationError::invalid(
            "Size of hashkey has exceeded the maximum size limit of2048 bytes",
        )),
        false if bytes > 1024 => Err(ValidationError::invalid(
            "Aggregated size of all range keys has exceeded the size limit of 1024 bytes",
        )),
        _ => Ok(()),
    }
}
