//! The tree beside a `BTreeMap`, with pages so short that nodes are cut and joined all the time.

use super::node::Node;
use super::{Batch, Builder, Old, PAGE_BYTES, Size, Tree};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::ops::Bound;

type Model = BTreeMap<Vec<u8>, Vec<u8>>;

#[derive(Clone, Debug)]
enum Step {
    Put(Vec<u8>, Vec<u8>),
    /// Puts many, in key order, after what starts with the same byte.
    Append(u8, u8, usize),
    Delete(Vec<u8>),
    DeletePrefix(Vec<u8>),
    DeleteRange(Vec<u8>, Vec<u8>),
    /// Keeps a clone, which must never change.
    Keep,
    Forget,
    Range(Bound<Vec<u8>>, Bound<Vec<u8>>, Vec<bool>),
    Rebuild,
    /// Puts, and deletes where there is no value.
    Batch(Vec<(Vec<u8>, Option<Vec<u8>>)>),
}

fn key() -> impl Strategy<Value = Vec<u8>> {
    let byte = prop::sample::select(vec![0, b'a', b'b', b'c', u8::MAX]);
    let short = prop::collection::vec(byte.clone(), 0..7);
    let prefixed = prop::collection::vec(byte, 0..5)
        .prop_map(|end| [b"account/region/".to_vec(), end].concat());
    let long = (0..3u8, 0..300usize).prop_map(|(byte, bytes)| vec![byte + b'a'; bytes]);
    prop_oneof![6 => short, 6 => prefixed, 1 => long]
}

fn value() -> impl Strategy<Value = Vec<u8>> {
    let bytes = prop_oneof![12 => 0..12usize, 3 => 12..70usize, 1 => 70..600usize];
    (any::<u8>(), bytes).prop_map(|(byte, bytes)| vec![byte; bytes])
}

fn bound() -> impl Strategy<Value = Bound<Vec<u8>>> {
    prop_oneof![
        Just(Bound::Unbounded),
        key().prop_map(Bound::Included),
        key().prop_map(Bound::Excluded)
    ]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        24 => (key(), value()).prop_map(|(key, value)| Step::Put(key, value)),
        2 => (any::<u8>(), 0..30u8, 0..60usize).prop_map(|(byte, bytes, count)| Step::Append(byte, bytes, count)),
        16 => key().prop_map(Step::Delete),
        1 => prop::collection::vec(prop::sample::select(vec![b'a', b'b', u8::MAX]), 0..4).prop_map(Step::DeletePrefix),
        1 => (key(), key()).prop_map(|(from, to)| Step::DeleteRange(from, to)),
        2 => Just(Step::Keep),
        2 => Just(Step::Forget),
        4 => (bound(), bound(), prop::collection::vec(any::<bool>(), 0..9))
            .prop_map(|(from, to, ends)| Step::Range(from, to, ends)),
        1 => Just(Step::Rebuild),
        2 => prop::collection::vec((key(), prop::option::weighted(0.7, value())), 0..40).prop_map(Step::Batch),
    ]
}

/// What a change said about the value that was there.
fn was(old: Option<Old>, mut buffer: Vec<u8>) -> Option<Vec<u8>> {
    match old? {
        Old::Copied(bytes) => Some(buffer.split_off(buffer.len() - bytes)),
        Old::Shared(large) => Some(large.value().to_vec()),
    }
}

fn put<const PAGE: usize>(tree: &mut Tree<PAGE>, model: &mut Model, key: &[u8], value: &[u8]) {
    let mut buffer = b"before".to_vec();
    let old = tree.put(key, value, &mut buffer);
    assert_eq!(was(old, buffer), model.insert(key.to_vec(), value.to_vec()));
    assert_eq!(tree.get(key), Some(value));
}

fn delete<const PAGE: usize>(tree: &mut Tree<PAGE>, model: &mut Model, key: &[u8]) {
    let mut buffer = b"before".to_vec();
    let old = tree.delete(key, &mut buffer);
    assert_eq!(was(old, buffer), model.remove(key));
    assert_eq!(tree.get(key), None);
}

fn delete_range<const PAGE: usize>(
    tree: &mut Tree<PAGE>,
    model: &mut Model,
    from: &[u8],
    to: Option<&[u8]>,
) {
    let before = tree.delete_range(from, to);
    let old = model.clone();
    model.retain(|key, _| &key[..] < from || to.is_some_and(|to| &key[..] >= to));
    assert_eq!(before.is_some(), old.len() > model.len());
    if let Some(before) = before {
        check(&before, &old);
    }
}

fn apply<const PAGE: usize>(
    tree: &mut Tree<PAGE>,
    model: &mut Model,
    changes: &[(Vec<u8>, Option<Vec<u8>>)],
) {
    let mut batch = Batch::default();
    for (key, value) in changes {
        match value {
            Some(value) => {
                batch.put(key, value);
                model.insert(key.clone(), value.clone());
            }
            None => {
                batch.delete(key);
                model.remove(key);
            }
        }
    }
    batch.apply_to(tree);
}

fn rebuilt<const PAGE: usize>(model: &Model) -> Tree<PAGE> {
    let mut builder = Builder::default();
    model
        .iter()
        .for_each(|(key, value)| builder.push(key, value));
    builder.finish()
}

/// Takes entries from the ends that are named, then all others.
fn check_range<const PAGE: usize>(
    tree: &Tree<PAGE>,
    model: &Model,
    from: &Bound<Vec<u8>>,
    to: &Bound<Vec<u8>>,
    ends: &[bool],
) {
    let after_from = |key: &Vec<u8>| match from {
        Bound::Unbounded => true,
        Bound::Included(from) => key >= from,
        Bound::Excluded(from) => key > from,
    };
    let before_to = |key: &Vec<u8>| match to {
        Bound::Unbounded => true,
        Bound::Included(to) => key <= to,
        Bound::Excluded(to) => key < to,
    };
    let mut expected = model
        .iter()
        .filter(|(key, _)| after_from(key) && before_to(key))
        .map(|(key, value)| (&key[..], &value[..]));
    let slice = |bound: &Bound<Vec<u8>>| bound.clone();
    let (low, high) = (slice(from), slice(to));
    let mut range = tree.range(
        low.as_ref().map(|key| &key[..]),
        high.as_ref().map(|key| &key[..]),
    );
    for front in ends {
        if *front {
            assert_eq!(range.next(), expected.next());
        } else {
            assert_eq!(range.next_back(), expected.next_back());
        }
    }
    if ends.len().is_multiple_of(2) {
        assert!(range.eq(expected));
    } else {
        assert!(range.rev().eq(expected.rev()));
    }
}

/// Everything that must hold of a tree.
fn check<const PAGE: usize>(tree: &Tree<PAGE>, model: &Model) {
    assert!(
        tree.iter()
            .eq(model.iter().map(|(key, value)| (&key[..], &value[..])))
    );
    assert_eq!(tree.len(), model.len());
    let bytes: usize = model
        .iter()
        .map(|(key, value)| key.len() + value.len())
        .sum();
    assert_eq!(tree.size.bytes, bytes as u64);
    let recounted = tree.root.as_ref().map_or(Size::default(), Node::size);
    assert_eq!(tree.size, recounted);
    if let Some(root) = &tree.root {
        if let Node::Branch(branch) = root {
            assert!(branch.count() > 1, "a root has a choice");
        }
        check_node(root, None, None);
    }
}

/// Returns the height.
fn check_node<const PAGE: usize>(
    node: &Node<PAGE>,
    from: Option<&[u8]>,
    to: Option<&[u8]>,
) -> usize {
    match node {
        Node::Leaf(leaf) => {
            let page = leaf.page();
            page.check::<PAGE>();
            assert!(page.count() > 0, "no node is empty");
            assert!(from.is_none_or(|from| from <= page.key(0)));
            assert!(to.is_none_or(|to| page.key(page.count() - 1) < to));
            0
        }
        Node::Branch(branch) => {
            branch.check();
            let last = branch.count() - 1;
            let heights = (0..branch.count()).map(|at| {
                let from = if at > 0 {
                    Some(branch.separator(at - 1))
                } else {
                    from
                };
                let to = if at < last {
                    Some(branch.separator(at))
                } else {
                    to
                };
                check_node(branch.child(at), from, to)
            });
            let heights: Vec<usize> = heights.collect();
            assert!(
                heights.iter().all(|height| *height == heights[0]),
                "leaves are equally deep"
            );
            heights[0] + 1
        }
    }
}

fn run<const PAGE: usize>(steps: &[Step]) {
    let (mut tree, mut model) = (Tree::<PAGE>::default(), Model::new());
    let mut kept: Vec<(Tree<PAGE>, Model)> = Vec::new();
    for step in steps {
        match step {
            Step::Put(key, value) => put(&mut tree, &mut model, key, value),
            Step::Append(first, bytes, count) => {
                for number in 0..*count {
                    let key = [&[*first][..], &number.to_be_bytes()].concat();
                    put(
                        &mut tree,
                        &mut model,
                        &key,
                        &vec![number as u8; usize::from(*bytes)],
                    );
                }
            }
            Step::Delete(key) => delete(&mut tree, &mut model, key),
            Step::DeletePrefix(prefix) => {
                let end = crate::root::prefix_end(prefix);
                delete_range(&mut tree, &mut model, prefix, end.as_deref());
            }
            Step::DeleteRange(from, to) => delete_range(&mut tree, &mut model, from, Some(to)),
            Step::Keep => kept.push((tree.clone(), model.clone())),
            Step::Forget => drop(kept.pop()),
            Step::Range(from, to, ends) => check_range(&tree, &model, from, to, ends),
            Step::Batch(changes) => apply(&mut tree, &mut model, changes),
            Step::Rebuild => tree = rebuilt(&model),
        }
        check(&tree, &model);
    }
    kept.iter().for_each(|(tree, model)| check(tree, model));
}

/// With pages as long as they really are, branches have so many children that they are joined, too: also with one that a
/// deletion left empty.
#[test]
fn a_range_over_many_branches_leaves_no_empty_node() {
    let (mut tree, mut model) = (Tree::<PAGE_BYTES>::default(), Model::new());
    for number in 0..6000u32 {
        put(&mut tree, &mut model, &number.to_be_bytes(), &[7; 60]);
    }
    for from in [0u32, 1, 900, 2500] {
        for to in (from..6000).step_by(211) {
            let (mut tree, mut model) = (tree.clone(), model.clone());
            let (from, to) = (from.to_be_bytes(), to.to_be_bytes());
            delete_range(&mut tree, &mut model, &from, Some(&to));
            check(&tree, &model);
        }
    }
}

/// The same in large steps, so that trees of pages as long as they really are grow to several levels and shrink again.
#[test]
fn large_trees_do_it_too() {
    let (mut tree, mut model) = (Tree::<PAGE_BYTES>::default(), Model::new());
    let mut kept = Vec::new();
    let mut random = 1u64;
    let mut next = |below: u64| {
        random = random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (random >> 33) % below
    };
    for round in 0..120 {
        let (first, stride, count) = (next(90_000), next(3) * 46 + 1, next(4000));
        let keys = (0..count).map(|number| item((first + number * stride) % 90_000));
        match next(6) {
            0..2 => keys.for_each(|key| {
                put(
                    &mut tree,
                    &mut model,
                    &key,
                    &vec![round; first as usize % 120],
                )
            }),
            2 => keys.for_each(|key| delete(&mut tree, &mut model, &key)),
            3 => {
                let to = item(first + 4 * count);
                delete_range(&mut tree, &mut model, &item(first), Some(&to));
            }
            4 => {
                let value = |key: &[u8; 23]| (key[22] < 170).then(|| vec![round; 80]);
                let changes: Vec<_> = keys.map(|key| (key.to_vec(), value(&key))).collect();
                apply(&mut tree, &mut model, &changes);
            }
            _ => kept.push((tree.clone(), model.clone())),
        }
        check(&tree, &model);
    }
    kept.iter().for_each(|(tree, model)| check(tree, model));
}

/// `PROPTEST_CASES=20000 cargo test --release -p cumulog-engine tree::` is the long run.
fn config() -> ProptestConfig {
    let config = ProptestConfig::default();
    match std::env::var("PROPTEST_CASES") {
        Ok(_) => config,
        Err(_) => ProptestConfig {
            cases: 40,
            ..config
        },
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn it_does_what_a_btree_map_does(steps in prop::collection::vec(step(), 0..250)) {
        run::<128>(&steps);
        run::<256>(&steps);
    }

    #[test]
    fn longer_pages_do_it_too(steps in prop::collection::vec(step(), 0..400)) {
        run::<512>(&steps);
    }
}

fn item(number: u64) -> [u8; 23] {
    let mut key = *b"123456789012/eu/0000000";
    key[15..].copy_from_slice(&number.to_be_bytes());
    key
}

fn scattered(number: u64) -> [u8; 23] {
    item(number.wrapping_mul(0x9e37_79b9_7f4a_7c15))
}

#[test]
fn small_items_take_little_memory_in_whatever_order_they_come() {
    const ITEMS: u64 = 20_000;
    let check = |name: &str, key: fn(u64) -> [u8; 23], bytes_max: u64| {
        let mut tree = <Tree>::default();
        (0..ITEMS).for_each(|number| drop(tree.put(&key(number), &[7; 64], &mut Vec::new())));
        let bytes = tree.memory_bytes() / ITEMS;
        assert!(bytes <= bytes_max, "{name}: {bytes} bytes an item");
    };
    check("in order", item, 101);
    check("in the opposite order", |number| item(ITEMS - number), 115);
    check("scattered", scattered, 115);
    let mut builder = <Builder>::default();
    (0..ITEMS).for_each(|number| builder.push(&item(number), &[7; 64]));
    assert!(builder.finish().memory_bytes() / ITEMS <= 107);
}

#[test]
fn entries_have_any_size() {
    let (mut tree, mut model) = (<Tree>::default(), Model::new());
    let mut random = 1u64;
    for (key_bytes, value_bytes) in [
        (0, 0),
        (0, 16 << 20),
        (1 << 20, 3),
        (90_000, 90_000),
        (511, 1),
    ] {
        for number in 0..40 {
            random = random
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            let mut key = vec![b'k'; key_bytes];
            key.extend_from_slice(&random.to_be_bytes()[..number % 8]);
            let value = vec![
                number as u8;
                if number == 7 {
                    value_bytes
                } else {
                    100 * number
                }
            ];
            put(&mut tree, &mut model, &key, &value);
        }
        check(&tree, &model);
    }
    for key in model.keys().cloned().collect::<Vec<_>>() {
        delete(&mut tree, &mut model, &key);
    }
    assert_eq!((tree.len(), tree.size), (0, Size::default()));
}

/// Where the pages of its leaves are.
fn places(tree: &Tree<4096>) -> Vec<*const u8> {
    let mut range = tree.iter();
    let mut places: Vec<_> = std::iter::from_fn(|| range.next_place())
        .map(|(page, _)| page.bytes.as_ptr())
        .collect();
    places.dedup();
    places
}

#[test]
fn a_change_copies_one_leaf_if_it_is_shared_and_none_if_not() {
    let mut tree = <Tree>::default();
    (0..5000).for_each(|number| drop(tree.put(&scattered(number), &[7; 64], &mut Vec::new())));
    let before = places(&tree);
    assert!(before.len() > 50);
    let change = |tree: &mut Tree| drop(tree.put(&scattered(9), &[8; 64], &mut Vec::new()));
    change(&mut tree);
    assert_eq!(places(&tree), before);
    let old = tree.clone();
    change(&mut tree);
    let after = places(&tree);
    assert_eq!(places(&old), before);
    assert_eq!(after.iter().zip(&before).filter(|(a, b)| a != b).count(), 1);
    // Now it is its own.
    change(&mut tree);
    assert_eq!(places(&tree), after);
}

#[test]
#[should_panic(expected = "keys come in ascending order")]
fn a_tree_is_not_built_out_of_order() {
    let mut builder = <Builder>::default();
    builder.push(b"b", b"");
    builder.push(b"a", b"");
}
