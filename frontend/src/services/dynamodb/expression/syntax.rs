//! The syntax of expressions, before names and values are looked up.

/// `a.#b[2]`
#[derive(Debug, PartialEq)]
pub(crate) struct PathSyntax<'a> {
    pub(crate) elements: Vec<Element<'a>>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Element<'a> {
    /// An attribute as written.
    Word(&'a str),
    /// `#name`, to be looked up in ExpressionAttributeNames.
    Name(&'a str),
    Index(u32),
}

#[derive(Debug, PartialEq)]
pub(crate) enum OperandSyntax<'a> {
    Path(PathSyntax<'a>),
    /// `:value`, to be looked up in ExpressionAttributeValues.
    Value(&'a str),
    Function(FunctionSyntax<'a>),
}

#[derive(Debug, PartialEq)]
pub(crate) struct FunctionSyntax<'a> {
    pub(crate) name: &'a str,
    pub(crate) arguments: Vec<OperandSyntax<'a>>,
}

/// A condition, filter or key condition.
#[derive(Debug, PartialEq)]
pub(crate) enum ConditionSyntax<'a> {
    Or(Vec<ConditionSyntax<'a>>),
    And(Vec<ConditionSyntax<'a>>),
    Not(Box<ConditionSyntax<'a>>),
    Compare(Comparator, OperandSyntax<'a>, OperandSyntax<'a>),
    Between(Box<[OperandSyntax<'a>; 3]>),
    In(OperandSyntax<'a>, Vec<OperandSyntax<'a>>),
    Function(FunctionSyntax<'a>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Comparator {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl Comparator {
    pub(crate) fn parse(symbol: &str) -> Option<Comparator> {
        Some(match symbol {
            "=" => Comparator::Equal,
            "<>" => Comparator::NotEqual,
            "<" => Comparator::Less,
            "<=" => Comparator::LessOrEqual,
            ">" => Comparator::Greater,
            ">=" => Comparator::GreaterOrEqual,
            _ => return None,
        })
    }

    pub(crate) fn symbol(self) -> &'static str {
        match self {
            Comparator::Equal => "=",
            Comparator::NotEqual => "<>",
            Comparator::Less => "<",
            Comparator::LessOrEqual => "<=",
            Comparator::Greater => ">",
            Comparator::GreaterOrEqual => ">=",
        }
    }

    /// The comparator that says the same with its operands exchanged.
    pub(crate) fn mirrored(self) -> Comparator {
        match self {
            Comparator::Less => Comparator::Greater,
            Comparator::LessOrEqual => Comparator::GreaterOrEqual,
            Comparator::Greater => Comparator::Less,
            Comparator::GreaterOrEqual => Comparator::LessOrEqual,
            symmetric => symmetric,
        }
    }
}

/// `SET … REMOVE … ADD … DELETE …` in the order written.
#[derive(Debug, PartialEq)]
pub(crate) struct UpdateSyntax<'a> {
    pub(crate) actions: Vec<ActionSyntax<'a>>,
    /// A section that was written twice.
    pub(crate) repeated: Option<Section>,
}

#[derive(Debug, PartialEq)]
pub(crate) enum ActionSyntax<'a> {
    Set(PathSyntax<'a>, AssignedSyntax<'a>),
    Remove(PathSyntax<'a>),
    /// A path and the name of its `:value`.
    Add(PathSyntax<'a>, &'a str),
    Delete(PathSyntax<'a>, &'a str),
}

/// The right side of a SET.
#[derive(Debug, PartialEq)]
pub(crate) enum AssignedSyntax<'a> {
    Operand(OperandSyntax<'a>),
    Plus(OperandSyntax<'a>, OperandSyntax<'a>),
    Minus(OperandSyntax<'a>, OperandSyntax<'a>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Section {
    Set,
    Remove,
    Add,
    Delete,
}

impl Section {
    pub(crate) const ALL: [Section; 4] =
        [Section::Set, Section::Remove, Section::Add, Section::Delete];

    pub(crate) fn keyword(self) -> &'static str {
        match self {
            Section::Set => "SET",
            Section::Remove => "REMOVE",
            Section::Add => "ADD",
            Section::Delete => "DELETE",
        }
    }
}
