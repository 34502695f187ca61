//! TransactWriteItems and TransactGetItems.
//!
//! All actions of a transaction run in one commit of the store, so they are done together or not at all, and no other
//! write comes between: conflicts, which AWS reports, cannot happen.

use std::collections::BTreeSet;
use std::sync::Arc;

use cumulog_engine::{Txn, View};
use cumulog_model::dynamodb as model;
use cumulog_shape::Map;
use model::{
    CancellationReason, ConsumedCapacity, ItemCollectionMetrics, ItemResponse,
    TransactGetItemsInput, TransactGetItemsOutput, TransactWriteItem, TransactWriteItemsInput,
    TransactWriteItemsOutput,
};
use serde_bytes::ByteBuf;
use sha2::{Digest, Sha256};

use super::capacity::{Consumed, Detail, Transactional};
use super::error::{Error, ValidationError};
use super::expression::{Condition, check_placeholders};
use super::items::{
    Change, Changed, Delete, Put, check_projection, new_item, projected, read_projection, require,
    returns_item, update_expressions, write_condition,
};
use super::rows::{TOKEN_TIMES, TOKENS, TokenRow};
use super::schema::Table;
use super::size::item_size;
use super::value::{self, Item};
use super::write;
use crate::call::Call;
use crate::failure::Failure;

/// How long a token keeps a transaction from being done again.
const TOKEN_MS: i64 = 10 * 60 * 1000;
/// Expired tokens that each new one sweeps away.
const SWEPT_TOKENS: usize = 4;
const TRANSACTION_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Does up to 100 writes and checks, all or none.
pub(crate) async fn transact_write_items(
    call: Call,
    mut input: TransactWriteItemsInput,
) -> Result<TransactWriteItemsOutput, Failure> {
    let token = input
        .client_request_token
        .take()
        .map(|token| (token, fingerprint(&input)));
    input.transact_items.iter_mut().try_for_each(check)?;
    let actions = input
        .transact_items
        .iter()
        .map(Action::prepare)
        .collect::<Result<Vec<_>, _>>()?;
    if actions.iter().map(Action::bytes).sum::<usize>() > TRANSACTION_BYTES_MAX {
        return Err(
            ValidationError::new("Collection size cannot exceed 4 MB in one transaction").into(),
        );
    }
    let detail = Detail::of(input.return_consumed_capacity.as_ref());
    let metrics = input.return_item_collection_metrics.as_ref();
    call.commit(|txn| {
        if let Some((token, request)) = token
            && !claim(&call, txn, token, request)?
        {
            return Ok(TransactWriteItemsOutput::default());
        }
        run(&call, txn, &actions, detail, metrics)
    })
    .await
}

fn fingerprint(input: &TransactWriteItemsInput) -> Vec<u8> {
    Sha256::digest(format!("{:?}", input.transact_items)).to_vec()
}

/// Notes that the token's transaction is being done; `false` if it already was.
fn claim(call: &Call, txn: &mut Txn, token: String, request: Vec<u8>) -> Result<bool, Error> {
    let now_ms = call.clock().now().0;
    let key = (call.account.to_string(), call.region.to_string(), token);
    if let Some(done) = TOKENS.get(txn, &key)?
        && done.done_ms + TOKEN_MS > now_ms
    {
        return if done.request == request {
            Ok(false)
        } else {
            Err(Error::IdempotentMismatch)
        };
    }
    let expired = TOKEN_TIMES
        .scan(txn, &())
        .take(SWEPT_TOKENS)
        .filter(|row| !matches!(row, Ok(((done_ms, ..), ())) if *done_ms + TOKEN_MS > now_ms))
        .collect::<Result<Vec<_>, _>>()?;
    for ((done_ms, account, region, token), ()) in expired {
        TOKEN_TIMES.delete(
            txn,
            &(done_ms, account.clone(), region.clone(), token.clone()),
        );
        TOKENS.delete(txn, &(account, region, token));
    }
    TOKENS.put(
        txn,
        &key,
        &TokenRow {
            done_ms: now_ms,
            request: ByteBuf::from(request),
        },
    );
    TOKEN_TIMES.put(txn, &(now_ms, key.0, key.1, key.2), &());
    Ok(true)
}

fn run(
    call: &Call,
    txn: &mut Txn,
    actions: &[Action<'_>],
    detail: Detail,
    metrics: Option<&model::ReturnItemCollectionMetrics>,
) -> Result<TransactWriteItemsOutput, Error> {
    let tables = actions
        .iter()
        .map(|action| Table::open(call, txn, action.table))
        .collect::<Result<Vec<_>, _>>()?;
    check_places(actions, &tables)?;
    let mut reasons = Vec::with_capacity(actions.len());
    let mut done = Done::default();
    for (action, table) in actions.iter().zip(&tables) {
        let outcome = action.run(call, txn, table, detail);
        if let Ok(consumed) = &outcome {
            done.note(action, table, consumed, metrics);
        }
        reasons.push(reason(outcome)?);
    }
    if reasons
        .iter()
        .any(|reason| reason.code.as_deref() != Some("None"))
    {
        return Err(Error::Cancelled(reasons));
    }
    Ok(TransactWriteItemsOutput {
        consumed_capacity: done.describe(detail, Transactional::Write),
        item_collection_metrics: (!done.metrics.is_empty()).then_some(done.metrics),
    })
}

/// Every action's key fits its table, and no item comes twice. The first that does not fit cancels the transaction, and
/// nothing is said of the others.
fn check_places(actions: &[Action<'_>], tables: &[Arc<Table>]) -> Result<(), Error> {
    let places: Vec<_> = actions
        .iter()
        .zip(tables)
        .map(|(action, table)| action.place(table))
        .collect();
    if let Some(misfit) = places.iter().position(Result::is_err) {
        let reasons = places
            .into_iter()
            .enumerate()
            .map(|(index, place)| match place {
                Err(error) if index == misfit => reason::<()>(Err(error.into())),
                _ => reason(Ok(())),
            });
        return Err(Error::Cancelled(reasons.collect::<Result<_, _>>()?));
    }
    let mut seen = BTreeSet::new();
    if places.into_iter().flatten().all(|place| seen.insert(place)) {
        return Ok(());
    }
    Err(
        ValidationError::new("Transaction request cannot include multiple operations on one item")
            .into(),
    )
}

/// Why an action cancels its transaction; code `None` if it does not.
fn reason<T>(outcome: Result<T, Error>) -> Result<CancellationReason, Error> {
    let reason = |code: &str, message: Option<String>, item| CancellationReason {
        code: Some(code.to_owned()),
        message,
        item,
    };
    match outcome {
        Ok(_) => Ok(reason("None", None, None)),
        Err(Error::Validation(error)) => {
            Ok(reason("ValidationError", Some(error.to_string()), None))
        }
        Err(Error::ConditionFailed(item)) => Ok(reason(
            "ConditionalCheckFailed",
            Some("The conditional request failed".into()),
            item,
        )),
        Err(other) => Err(other),
    }
}

/// What a transaction consumed of each table, in the order of first use.
#[derive(Default)]
struct Done {
    consumed: Vec<(String, Consumed)>,
    metrics: Map<Vec<ItemCollectionMetrics>>,
}

impl Done {
    fn note(
        &mut self,
        action: &Action<'_>,
        table: &Table,
        consumed: &Consumed,
        metrics: Option<&model::ReturnItemCollectionMetrics>,
    ) {
        self.add(action.table, consumed.clone());
        if let Some(collection) = write::collection_metrics(table, action.keys(), metrics) {
            match self.metrics.get_mut(action.table) {
                Some(collections) => collections.push(collection),
                None => self
                    .metrics
                    .append(action.table.to_owned(), vec![collection]),
            }
        }
    }

    fn add(&mut self, table: &str, consumed: Consumed) {
        match self.consumed.iter_mut().find(|(known, _)| known == table) {
            Some((_, sum)) => sum.add(consumed),
            None => self.consumed.push((table.to_owned(), consumed)),
        }
    }

    fn describe(&self, detail: Detail, kind: Transactional) -> Option<Vec<ConsumedCapacity>> {
        let capacities = self
            .consumed
            .iter()
            .filter_map(|(table, sum)| sum.describe(table, detail, Some(kind)));
        (detail != Detail::None).then(|| capacities.collect())
    }
}

/// One action, checked and parsed.
struct Action<'a> {
    table: &'a str,
    kind: Kind<'a>,
}

enum Kind<'a> {
    Put(Put<'a>),
    Delete(Delete<'a>),
    Update(Change<'a>),
    Check {
        key: &'a Item,
        condition: Option<Condition<'a>>,
        on_failure: bool,
    },
}

/// Checks an action by itself and normalises its numbers.
fn check(action: &mut TransactWriteItem) -> Result<(), ValidationError> {
    let kinds = [
        action.condition_check.is_some(),
        action.put.is_some(),
        action.delete.is_some(),
        action.update.is_some(),
    ];
    if kinds.into_iter().filter(|present| *present).count() != 1 {
        return Err(ValidationError::new(
            "TransactItems can only contain one of Check, Put, Update or Delete",
        ));
    }
    if let Some(put) = &mut action.put {
        value::check_item(&mut put.item)?;
        check_placeholders(
            put.expression_attribute_names.as_ref(),
            put.expression_attribute_values.as_mut(),
        )?;
    }
    if let Some(delete) = &mut action.delete {
        value::check_item(&mut delete.key)?;
        check_placeholders(
            delete.expression_attribute_names.as_ref(),
            delete.expression_attribute_values.as_mut(),
        )?;
    }
    if let Some(update) = &mut action.update {
        value::check_item(&mut update.key)?;
        check_placeholders(
            update.expression_attribute_names.as_ref(),
            update.expression_attribute_values.as_mut(),
        )?;
    }
    if let Some(check) = &mut action.condition_check {
        value::check_item(&mut check.key)?;
        check_placeholders(
            check.expression_attribute_names.as_ref(),
            check.expression_attribute_values.as_mut(),
        )?;
    }
    Ok(())
}

impl<'a> Action<'a> {
    fn prepare(action: &'a TransactWriteItem) -> Result<Action<'a>, ValidationError> {
        if let Some(put) = &action.put {
            Action::put(put)
        } else if let Some(delete) = &action.delete {
            Action::delete(delete)
        } else if let Some(update) = &action.update {
            Action::update(update)
        } else {
            Action::check(
                action
                    .condition_check
                    .as_ref()
                    .expect("each action was checked to be of one kind"),
            )
        }
    }

    fn put(put: &'a model::Put) -> Result<Action<'a>, ValidationError> {
        let condition = write_condition(
            put.condition_expression.as_deref(),
            put.expression_attribute_names.as_ref(),
            put.expression_attribute_values.as_ref(),
            None,
        )?;
        let on_failure = returns_item(put.return_values_on_condition_check_failure.as_ref());
        let kind = Kind::Put(Put {
            new: new_item(&put.item)?,
            condition,
            on_failure,
        });
        Ok(Action {
            table: &put.table_name,
            kind,
        })
    }

    fn delete(delete: &'a model::Delete) -> Result<Action<'a>, ValidationError> {
        let condition = write_condition(
            delete.condition_expression.as_deref(),
            delete.expression_attribute_names.as_ref(),
            delete.expression_attribute_values.as_ref(),
            None,
        )?;
        let on_failure = returns_item(delete.return_values_on_condition_check_failure.as_ref());
        let kind = Kind::Delete(Delete {
            key: &delete.key,
            condition,
            on_failure,
        });
        Ok(Action {
            table: &delete.table_name,
            kind,
        })
    }

    fn check(check: &'a model::ConditionCheck) -> Result<Action<'a>, ValidationError> {
        let condition = write_condition(
            Some(&check.condition_expression),
            check.expression_attribute_names.as_ref(),
            check.expression_attribute_values.as_ref(),
            None,
        )?;
        let on_failure = returns_item(check.return_values_on_condition_check_failure.as_ref());
        let kind = Kind::Check {
            key: &check.key,
            condition,
            on_failure,
        };
        Ok(Action {
            table: &check.table_name,
            kind,
        })
    }

    fn update(update: &'a model::Update) -> Result<Action<'a>, ValidationError> {
        let (parsed, condition) = update_expressions(
            Some(&update.update_expression),
            update.condition_expression.as_deref(),
            update.expression_attribute_names.as_ref(),
            update.expression_attribute_values.as_ref(),
        )?;
        let on_failure = returns_item(update.return_values_on_condition_check_failure.as_ref());
        let kind = Kind::Update(Change {
            key: &update.key,
            update: parsed,
            condition,
            on_failure,
        });
        Ok(Action {
            table: &update.table_name,
            kind,
        })
    }

    /// The item or key, either of which has the key attributes.
    fn keys(&self) -> &Item {
        match &self.kind {
            Kind::Put(put) => put.new.item,
            Kind::Delete(delete) => delete.key,
            Kind::Update(update) => update.key,
            Kind::Check { key, .. } => key,
        }
    }

    fn bytes(&self) -> usize {
        item_size(self.keys())
    }

    fn place(&self, table: &Table) -> Result<Vec<u8>, ValidationError> {
        match &self.kind {
            Kind::Put(put) => table
                .check_item(put.new.item)
                .map(|()| table.item_key(put.new.item)),
            _ => table.checked_key(self.keys()),
        }
    }

    fn run(
        &self,
        call: &Call,
        txn: &mut Txn,
        table: &Table,
        detail: Detail,
    ) -> Result<Consumed, Error> {
        let whole = detail != Detail::None;
        let (before, after, bytes) = match &self.kind {
            Kind::Put(put) => (
                put.run(call, txn, table, whole)?,
                Some(put.new.item.clone()),
                put.new.bytes,
            ),
            Kind::Delete(delete) => (delete.run(call, txn, table, whole)?, None, 0),
            Kind::Update(update) => {
                let Changed {
                    before,
                    after,
                    bytes,
                } = update.run(call, txn, table)?;
                (before, after, bytes)
            }
            Kind::Check {
                key,
                condition,
                on_failure,
            } => {
                let before = write::load(txn, &table.checked_key(key)?)?;
                require(condition.as_ref(), before.as_ref(), *on_failure)?;
                let bytes = before.as_ref().map_or(0, |row| row.bytes as usize);
                return Ok(Consumed {
                    table: super::capacity::write_units(bytes),
                    indexes: vec![],
                }
                .doubled());
            }
        };
        if !whole {
            return Ok(Consumed::default());
        }
        let sizes = (before.as_ref().map_or(0, |row| row.bytes as usize), bytes);
        Ok(Consumed::write(
            table,
            before.as_ref().map(|row| &row.item),
            after.as_ref(),
            sizes,
        )
        .doubled())
    }
}

/// Reads up to 100 items of one state.
pub(crate) fn transact_get_items(
    call: &Call,
    view: &View,
    mut input: TransactGetItemsInput,
) -> Result<TransactGetItemsOutput, Error> {
    for action in &mut input.transact_items {
        value::check_item(&mut action.get.key)?;
    }
    let gets = input
        .transact_items
        .iter()
        .map(|action| {
            let get = &action.get;
            let names = get.expression_attribute_names.as_ref();
            Ok((
                get,
                read_projection(get.projection_expression.as_deref(), names, None)?,
            ))
        })
        .collect::<Result<Vec<_>, ValidationError>>()?;
    let detail = Detail::of(input.return_consumed_capacity.as_ref());
    let tables = gets
        .iter()
        .map(|(get, _)| Table::open(call, view, &get.table_name))
        .collect::<Result<Vec<_>, _>>()?;
    let mut done = Done::default();
    let mut reasons = Vec::with_capacity(gets.len());
    let mut responses = Vec::with_capacity(gets.len());
    for ((get, projection), table) in gets.iter().zip(&tables) {
        let outcome = table.checked_key(&get.key).and_then(|key| {
            check_projection(table, projection.as_ref())?;
            Ok(key)
        });
        if let Ok(key) = &outcome {
            let row = write::load(view, key)?;
            let bytes = row.as_ref().map_or(0, |row| row.bytes as usize);
            done.add(&get.table_name, Consumed::read(bytes, true).doubled());
            responses.push(ItemResponse {
                item: row.map(|row| projected(row.item, projection.as_ref())),
            });
        }
        reasons.push(reason(outcome.map_err(Error::from))?);
    }
    if responses.len() < gets.len() {
        return Err(Error::Cancelled(reasons));
    }
    Ok(TransactGetItemsOutput {
        consumed_capacity: done.describe(detail, Transactional::Read),
        responses: Some(responses),
    })
}
