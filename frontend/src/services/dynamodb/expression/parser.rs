//! The parser of the three expression languages.
//!
//! ```text
//! condition  := conjunct (OR conjunct)*
//! conjunct   := negation (AND negation)*
//! negation   := NOT negation | comparison
//! comparison := operand [comparator operand | BETWEEN operand AND operand | IN '(' operand (',' operand)* ')']
//! operand    := function | :value | path | '(' condition or operand ')'
//! function   := word '(' operand (',' operand)* ')'
//! path       := name ('.' name | '[' digits ']')*
//!
//! update     := (SET set, … | REMOVE path, … | ADD path :value, … | DELETE path :value, …)+
//! set        := path '=' operand [('+' | '-') operand]
//!
//! projection := path (',' path)*
//! ```
//!
//! A parenthesis may hold a condition or an operand, and only what follows tells which: so both are read by the same
//! function as a [`Node`], and the place that uses a node demands the kind that it needs.
//!
//! # Limits
//!
//! An expression has at most 4096 bytes and 300 operators. A request must not decide how much stack we use: parentheses
//! are read without recursion, a row of NOTs and nested ANDs or ORs are joined into one, and functions nest at most
//! [`DEPTH_MAX`] deep. What is left to recurse over is a tree of at most 150 levels.

use super::lexer::{Kind, Lexer};
use super::syntax::{
    ActionSyntax, AssignedSyntax, Comparator, ConditionSyntax, Element, FunctionSyntax,
    OperandSyntax, PathSyntax, Section, UpdateSyntax,
};

const EXPRESSION_BYTES_MAX: usize = 4096;
const OPERATORS_MAX: usize = 300;
const DEPTH_MAX: usize = 64;
const PATH_LEVELS_MAX: usize = 32;

/// What is wrong with an expression, in AWS's words without the `Invalid …Expression: ` before them.
pub(crate) type Message = String;

type Parsed<T> = Result<T, Message>;

pub(crate) fn parse_condition(source: &str) -> Parsed<ConditionSyntax<'_>> {
    let mut parser = Parser::new(source, &["AND", "OR", "NOT", "BETWEEN", "IN"])?;
    let node = parser.disjunction()?;
    parser.end()?;
    let condition = parser.condition(node)?;
    parser.finish(condition)
}

pub(crate) fn parse_update(source: &str) -> Parsed<UpdateSyntax<'_>> {
    let mut parser = Parser::new(source, &["SET", "REMOVE", "ADD", "DELETE"])?;
    let update = parser.update()?;
    parser.finish(update)
}

pub(crate) fn parse_projection(source: &str) -> Parsed<Vec<PathSyntax<'_>>> {
    let mut parser = Parser::new(source, &[])?;
    let paths = parser.list(Parser::path)?;
    parser.end()?;
    parser.finish(paths)
}

/// What a parenthesis may hold.
enum Node<'a> {
    Operand(OperandSyntax<'a>),
    Condition(ConditionSyntax<'a>),
}

/// What has been read of a condition within one pair of parentheses.
#[derive(Default)]
struct Group<'a> {
    /// Where the opening parenthesis is, and the token after it.
    open: usize,
    first: usize,
    disjuncts: Vec<ConditionSyntax<'a>>,
    conjuncts: Vec<ConditionSyntax<'a>>,
    /// How many NOTs stand before the next condition, and what they amount to.
    nots: usize,
    negated: bool,
}

impl<'a> Group<'a> {
    /// Whether nothing has been said about the next operand.
    fn is_bare(&self) -> bool {
        self.disjuncts.is_empty() && self.conjuncts.is_empty() && self.nots == 0
    }

    /// Takes a condition that is followed by AND or OR.
    fn join(&mut self, condition: ConditionSyntax<'a>, is_and: bool) {
        let condition = self.negate(condition);
        match condition {
            ConditionSyntax::And(terms) => self.conjuncts.extend(terms),
            condition => self.conjuncts.push(condition),
        }
        if !is_and {
            self.end_conjunction();
        }
    }

    /// Takes the last condition; returns the whole.
    fn close(&mut self, condition: ConditionSyntax<'a>) -> ConditionSyntax<'a> {
        self.join(condition, false);
        let mut disjuncts = std::mem::take(&mut self.disjuncts);
        match disjuncts.len() {
            1 => disjuncts.remove(0),
            _ => ConditionSyntax::Or(disjuncts),
        }
    }

    fn end_conjunction(&mut self) {
        let mut conjuncts = std::mem::take(&mut self.conjuncts);
        match (conjuncts.len(), conjuncts.pop()) {
            (1, Some(ConditionSyntax::Or(terms))) => self.disjuncts.extend(terms),
            (1, Some(condition)) => self.disjuncts.push(condition),
            (_, last) => {
                conjuncts.extend(last);
                self.disjuncts.push(ConditionSyntax::And(conjuncts));
            }
        }
    }

    fn negate(&mut self, condition: ConditionSyntax<'a>) -> ConditionSyntax<'a> {
        self.nots = 0;
        match (std::mem::take(&mut self.negated), condition) {
            (false, condition) => condition,
            (true, ConditionSyntax::Not(inner)) => *inner,
            (true, condition) => ConditionSyntax::Not(Box::new(condition)),
        }
    }
}

struct Parser<'a> {
    lexer: Lexer<'a>,
    /// Words that are not attributes in this language.
    keywords: &'static [&'static str],
    depth: usize,
    operators: usize,
    redundant_parentheses: bool,
    /// Where the parentheses closed last begin and end: those directly within another pair are redundant.
    last_group: Option<(usize, usize)>,
}

impl<'a> Parser<'a> {
    fn new<const N: usize>(
        source: &'a str,
        keywords: &'static [&'static str; N],
    ) -> Parsed<Parser<'a>> {
        if source.is_empty() {
            return Err("The expression can not be empty;".into());
        }
        if source.len() > EXPRESSION_BYTES_MAX {
            return Err(format!(
                "Expression size has exceeded the maximum allowed size; expression size: {}",
                source.len()
            ));
        }
        let lexer = Lexer::new(source);
        Ok(Parser {
            lexer,
            keywords,
            depth: 0,
            operators: 0,
            redundant_parentheses: false,
            last_group: None,
        })
    }

    /// What can be said only about an expression that is well-formed.
    fn finish<T>(self, parsed: T) -> Parsed<T> {
        if self.redundant_parentheses {
            return Err("The expression has redundant parentheses;".into());
        }
        if self.operators > OPERATORS_MAX {
            return Err(format!(
                "The expression contains too many operators; operator count: {}",
                self.operators
            ));
        }
        Ok(parsed)
    }

    fn end(&self) -> Parsed<()> {
        if self.lexer.peek().kind == Kind::End {
            Ok(())
        } else {
            Err(self.lexer.syntax_error())
        }
    }

    fn expect(&mut self, symbol: &str) -> Parsed<()> {
        if self.lexer.symbol(symbol) {
            Ok(())
        } else {
            Err(self.lexer.syntax_error())
        }
    }

    fn list<T>(&mut self, mut item: impl FnMut(&mut Self) -> Parsed<T>) -> Parsed<Vec<T>> {
        let mut items = vec![item(self)?];
        while self.lexer.symbol(",") {
            items.push(item(self)?);
        }
        Ok(items)
    }

    /// Reads a condition, or an operand where that is all there is, without recursion: groups in parentheses stand on a
    /// stack of their own.
    fn disjunction(&mut self) -> Parsed<Node<'a>> {
        let mut enclosing: Vec<Group<'a>> = Vec::new();
        let mut group = Group::default();
        'operand: loop {
            while self.lexer.keyword("NOT") {
                self.operators += 1;
                group.negated = !group.negated;
                group.nots += 1;
            }
            if self.lexer.peek().text == "(" {
                let open = self.lexer.next().start;
                let first = self.lexer.peek().start;
                enclosing.push(std::mem::replace(
                    &mut group,
                    Group {
                        open,
                        first,
                        ..Group::default()
                    },
                ));
                continue;
            }
            let mut node = Node::Operand(self.plain_operand()?);
            loop {
                node = self.comparison(node)?;
                if self.lexer.at_keyword("AND") || self.lexer.at_keyword("OR") {
                    let condition = self.condition(node)?;
                    let is_and = self.lexer.keyword("AND") || !self.lexer.keyword("OR");
                    self.operators += 1;
                    group.join(condition, is_and);
                    continue 'operand;
                }
                node = if group.is_bare() {
                    node
                } else {
                    Node::Condition(group.close(self.condition(node)?))
                };
                let Some(outer) = enclosing.pop() else {
                    return Ok(node);
                };
                self.close(&group)?;
                group = outer;
                if let Node::Operand(OperandSyntax::Path(path)) = node {
                    node = Node::Operand(OperandSyntax::Path(self.path_tail(path)?));
                }
            }
        }
    }

    /// Ends a group. One that stands directly within another one is redundant.
    fn close(&mut self, group: &Group<'a>) -> Parsed<()> {
        self.redundant_parentheses |=
            self.last_group == Some((group.first, self.lexer.previous_start()));
        self.last_group = Some((group.open, self.lexer.peek().start));
        self.expect(")")
    }

    /// What follows a left operand, if it makes a condition of it.
    fn comparison(&mut self, left: Node<'a>) -> Parsed<Node<'a>> {
        let condition = if let Some(comparator) = Comparator::parse(self.lexer.peek().text) {
            let left = self.operand_of(left)?;
            self.lexer.next();
            ConditionSyntax::Compare(comparator, left, self.operand()?)
        } else if self.lexer.at_keyword("BETWEEN") {
            let left = self.operand_of(left)?;
            self.lexer.next();
            let low = self.operand()?;
            if !self.lexer.keyword("AND") {
                return Err(self.lexer.syntax_error());
            }
            ConditionSyntax::Between(Box::new([left, low, self.operand()?]))
        } else if self.lexer.at_keyword("IN") {
            let left = self.operand_of(left)?;
            self.lexer.next();
            self.expect("(")?;
            let candidates = self.list(Parser::operand)?;
            self.expect(")")?;
            ConditionSyntax::In(left, candidates)
        } else {
            return Ok(left);
        };
        self.operators += 1;
        Ok(Node::Condition(condition))
    }

    /// An operand, perhaps in parentheses.
    fn operand(&mut self) -> Parsed<OperandSyntax<'a>> {
        let mut groups = Vec::new();
        while self.lexer.peek().text == "(" {
            let open = self.lexer.next().start;
            groups.push(Group {
                open,
                first: self.lexer.peek().start,
                ..Group::default()
            });
        }
        let mut operand = self.plain_operand()?;
        while let Some(group) = groups.pop() {
            self.close(&group)?;
            if let OperandSyntax::Path(path) = operand {
                operand = OperandSyntax::Path(self.path_tail(path)?);
            }
        }
        Ok(operand)
    }

    fn operand_of(&self, node: Node<'a>) -> Parsed<OperandSyntax<'a>> {
        match node {
            Node::Operand(operand) => Ok(operand),
            Node::Condition(_) => Err(self.lexer.syntax_error()),
        }
    }

    /// A function alone is a condition; whether it is one that yields a truth value is checked with the names.
    fn condition(&self, node: Node<'a>) -> Parsed<ConditionSyntax<'a>> {
        match node {
            Node::Condition(condition) => Ok(condition),
            Node::Operand(OperandSyntax::Function(function)) => {
                Ok(ConditionSyntax::Function(function))
            }
            Node::Operand(_) => Err(self.lexer.syntax_error()),
        }
    }

    fn plain_operand(&mut self) -> Parsed<OperandSyntax<'a>> {
        let token = self.lexer.peek();
        if token.kind == Kind::Value {
            self.lexer.next();
            return Ok(OperandSyntax::Value(token.text));
        }
        let path = self.path()?;
        match path.elements[..] {
            [Element::Word(name)] if self.lexer.peek().text == "(" => {
                self.function(name, Parser::operand)
            }
            _ => Ok(OperandSyntax::Path(path)),
        }
    }

    fn function(
        &mut self,
        name: &'a str,
        argument: fn(&mut Self) -> Parsed<OperandSyntax<'a>>,
    ) -> Parsed<OperandSyntax<'a>> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(format!("Invalid function name; function: {name}"));
        }
        self.expect("(")?;
        let arguments = self.list(argument)?;
        self.expect(")")?;
        self.depth -= 1;
        Ok(OperandSyntax::Function(FunctionSyntax { name, arguments }))
    }

    fn path(&mut self) -> Parsed<PathSyntax<'a>> {
        let head = self.name()?;
        self.path_tail(PathSyntax {
            elements: vec![head],
        })
    }

    fn path_tail(&mut self, mut path: PathSyntax<'a>) -> Parsed<PathSyntax<'a>> {
        loop {
            if self.lexer.symbol(".") {
                path.elements.push(self.name()?);
            } else if self.lexer.symbol("[") {
                path.elements.push(self.index()?);
                self.expect("]")?;
            } else {
                break;
            }
        }
        if path.elements.len() > PATH_LEVELS_MAX {
            return Err(format!(
                "The document path has too many nesting levels; nesting levels: {}",
                path.elements.len()
            ));
        }
        Ok(path)
    }

    fn name(&mut self) -> Parsed<Element<'a>> {
        let token = self.lexer.peek();
        let element = match token.kind {
            Kind::Name => Element::Name(token.text),
            Kind::Word
                if !self
                    .keywords
                    .iter()
                    .any(|word| token.text.eq_ignore_ascii_case(word)) =>
            {
                Element::Word(token.text)
            }
            _ => return Err(self.lexer.syntax_error()),
        };
        self.lexer.next();
        Ok(element)
    }

    fn index(&mut self) -> Parsed<Element<'a>> {
        let token = self.lexer.peek();
        if token.kind != Kind::Digits {
            return Err(self.lexer.syntax_error());
        }
        let index = token.text.parse::<i32>().map_err(|_| {
            format!(
                "List index is not within the allowable range; index: [{}]",
                token.text
            )
        })?;
        self.lexer.next();
        Ok(Element::Index(index.unsigned_abs()))
    }

    fn update(&mut self) -> Parsed<UpdateSyntax<'a>> {
        let mut update = UpdateSyntax {
            actions: Vec::new(),
            repeated: None,
        };
        let mut seen = Vec::new();
        loop {
            let section = self.section()?;
            if seen.contains(&section) {
                update.repeated.get_or_insert(section);
            }
            seen.push(section);
            update
                .actions
                .extend(self.list(|parser| parser.action(section))?);
            if self.lexer.peek().kind == Kind::End {
                return Ok(update);
            }
        }
    }

    fn section(&mut self) -> Parsed<Section> {
        Section::ALL
            .into_iter()
            .find(|section| self.lexer.keyword(section.keyword()))
            .ok_or_else(|| self.lexer.syntax_error())
    }

    fn action(&mut self, section: Section) -> Parsed<ActionSyntax<'a>> {
        let path = self.path()?;
        Ok(match section {
            Section::Set => {
                self.expect("=")?;
                ActionSyntax::Set(path, self.assigned()?)
            }
            Section::Remove => ActionSyntax::Remove(path),
            Section::Add => ActionSyntax::Add(path, self.value()?),
            Section::Delete => ActionSyntax::Delete(path, self.value()?),
        })
    }

    /// A parenthesis may hold the whole sum or its first operand: `(a + :b)`, `(a) + :b`.
    fn assigned(&mut self) -> Parsed<AssignedSyntax<'a>> {
        let left = if self.lexer.symbol("(") {
            let inner = self.assigned_sum()?;
            self.expect(")")?;
            match inner {
                AssignedSyntax::Operand(operand) => operand,
                sum => return Ok(sum),
            }
        } else {
            self.update_operand()?
        };
        self.sum_of(left)
    }

    fn assigned_sum(&mut self) -> Parsed<AssignedSyntax<'a>> {
        let left = self.update_operand()?;
        self.sum_of(left)
    }

    fn sum_of(&mut self, left: OperandSyntax<'a>) -> Parsed<AssignedSyntax<'a>> {
        if self.lexer.symbol("+") {
            self.operators += 1;
            Ok(AssignedSyntax::Plus(left, self.update_operand()?))
        } else if self.lexer.symbol("-") {
            self.operators += 1;
            Ok(AssignedSyntax::Minus(left, self.update_operand()?))
        } else {
            Ok(AssignedSyntax::Operand(left))
        }
    }

    fn update_operand(&mut self) -> Parsed<OperandSyntax<'a>> {
        let token = self.lexer.peek();
        if self.lexer.symbol("(") {
            let operand = self.update_operand_in_parenthesis()?;
            self.expect(")")?;
            Ok(operand)
        } else if token.kind == Kind::Value {
            self.lexer.next();
            Ok(OperandSyntax::Value(token.text))
        } else {
            self.update_path_or_function()
        }
    }

    fn update_operand_in_parenthesis(&mut self) -> Parsed<OperandSyntax<'a>> {
        if self.lexer.peek().text == "(" {
            Err(self.lexer.syntax_error())
        } else {
            self.update_operand()
        }
    }

    fn update_path_or_function(&mut self) -> Parsed<OperandSyntax<'a>> {
        let path = self.path()?;
        let name = match path.elements[..] {
            [Element::Word(name)] if self.lexer.peek().text == "(" => name,
            _ => return Ok(OperandSyntax::Path(path)),
        };
        self.operators += 1;
        self.function(name, Parser::update_operand)
    }

    fn value(&mut self) -> Parsed<&'a str> {
        let token = self.lexer.peek();
        if token.kind != Kind::Value {
            return Err(self.lexer.syntax_error());
        }
        self.lexer.next();
        Ok(token.text)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Tokens, and things that look like tokens.
    fn tokens() -> impl Strategy<Value = String> {
        let token = prop::sample::select(vec![
            "a",
            "b1",
            "#n",
            ":v",
            "and",
            "OR",
            "Not",
            "between",
            "in",
            "(",
            ")",
            "[",
            "]",
            "0",
            "99999999999",
            ".",
            ",",
            "=",
            "<>",
            "<=",
            ">",
            "+",
            "-",
            "SET",
            "remove",
            "ADD",
            "delete",
            "size",
            "contains",
            "if_not_exists",
            "é",
            "#",
            ":",
            "\"",
            " ",
            "_",
        ]);
        prop::collection::vec(token, 0..40).prop_map(|tokens| tokens.join(" "))
    }

    proptest! {
        #[test]
        fn any_text_parses_or_is_refused(text in prop_oneof![tokens(), "\\PC{0,60}"]) {
            let _parsed = parse_condition(&text).map(drop);
            let _parsed = parse_update(&text).map(drop);
            let _parsed = parse_projection(&text).map(drop);
        }
    }
}
