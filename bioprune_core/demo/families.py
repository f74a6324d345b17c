"""Invented RNA families: a folded ancestor and descendants that keep its fold by compensatory changes.

A family is a set of sites. Two sites that pair stay a canonical pair (G-C, A-U, G-U) in every member, so a
stem's letters change together, as they do in real alignments; sites of loops change, appear and vanish
freely. Members descend from one another, which gives families subfamilies and near relatives.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from random import Random

__all__ = ["MAXIMUM_LENGTH", "MINIMUM_LENGTH", "Family", "Member", "grow_family"]

MINIMUM_LENGTH = 30
MAXIMUM_LENGTH = 400
_SHORTEST_LOOP = 3
_PAIRS = {"GC": 27, "CG": 27, "AU": 17, "UA": 17, "GU": 6, "UG": 6}
_LOOP_LETTERS = {"A": 37, "U": 26, "G": 21, "C": 16}
# Tetraloops that are common in nature, so that a model has motifs to learn.
_TETRALOOPS = ("GAAA", "GCAA", "GAGA", "GUGA", "UUCG", "CUUG")
_CONSERVED_RATE = 0.1
_INDEL_SHARE = 0.12


@dataclass(frozen=True, slots=True)
class Member:
    """One sequence of a family.

    Args:
        sites: The family's site of each letter.
        letters: ACGU, one for each site.
    """

    sites: tuple[int, ...]
    letters: str


@dataclass(slots=True)
class Family:
    """A fold and everything that descended from it.

    Args:
        name: Such as F012.
        partners: The site that each paired site pairs with, both ways.
        conserved: Sites that seldom change.
        divergence: Expected substitutions per site from a member to its child.
        members: The ancestor first.
        next_site: Number for the next inserted site.
        seen: Letters of every sequence made so far, members or not.
    """

    name: str
    partners: dict[int, int]
    conserved: frozenset[int]
    divergence: float
    members: list[Member]
    next_site: int
    seen: set[str]

    def structure(self, member: Member) -> str:
        """Dot-bracket notation of a member."""
        return "".join(
            "." if site not in self.partners else "(" if site < self.partners[site] else ")"
            for site in member.sites
        )

    def descend(self, random: Random, parent: Member, divergence: float) -> Member:
        """A new sequence with the parent's fold, different from every earlier one of the family."""
        while True:
            child = self._with_indels(random, self._substituted(random, parent, divergence), divergence)
            if child.letters not in self.seen and MINIMUM_LENGTH <= len(child.letters) <= MAXIMUM_LENGTH:
                self.seen.add(child.letters)
                return child
            # A short, hardly diverging family runs out of new sequences otherwise.
            divergence *= 1.1

    def _substituted(self, random: Random, parent: Member, divergence: float) -> Member:
        letters = dict(zip(parent.sites, parent.letters, strict=True))
        for site in parent.sites:
            partner = self.partners.get(site)
            if partner is not None and partner < site:
                continue
            rate = divergence * (_CONSERVED_RATE if site in self.conserved else 1)
            if random.random() >= rate:
                continue
            if partner is None:
                letters[site] = _drawn(random, _LOOP_LETTERS, letters[site])
            else:
                pair = _drawn(random, _PAIRS, letters[site] + letters[partner])
                letters[site], letters[partner] = pair[0], pair[1]
        return Member(parent.sites, "".join(letters[site] for site in parent.sites))

    def _with_indels(self, random: Random, member: Member, divergence: float) -> Member:
        sites: list[int] = []
        letters: list[str] = []
        structure = self.structure(member)
        spare = {run.start(): len(run.group()) - _SHORTEST_LOOP for run in re.finditer(r"\.+", structure)}
        left = 0
        for place, (site, letter) in enumerate(zip(member.sites, member.letters, strict=True)):
            left = spare.get(place, left)
            if structure[place] == "." and random.random() < divergence * _INDEL_SHARE:
                if random.random() < 0.5 and left > 0:
                    left -= 1
                    continue
                sites.append(self.next_site)
                letters.append(_drawn(random, _LOOP_LETTERS))
                self.next_site += 1
            sites.append(site)
            letters.append(letter)
        return Member(tuple(sites), "".join(letters))


def grow_family(random: Random, name: str, length: int, size: int, divergence: float) -> Family:
    """A family of `size` members with a fold of about `length` letters.

    Args:
        random: Source of all choices.
        name: Its name.
        length: Letters of the ancestor, at least 34.
        size: Members, the ancestor among them.
        divergence: Expected substitutions per site from a member to its child.
    """
    structure = _fold(random, length)
    partners = _partners(structure)
    conserved = frozenset(site for site in range(len(structure)) if random.random() < 0.35)
    conserved |= frozenset(partners[site] for site in conserved if site in partners)
    ancestor = Member(tuple(range(len(structure))), _ancestral_letters(random, structure, partners))
    # Inserted sites are numbered far above the others: they never pair, so only identity matters.
    family = Family(name, partners, conserved, divergence, [ancestor], 1_000_000, {ancestor.letters})
    while len(family.members) < size:
        parent = ancestor if random.random() < 0.4 else random.choice(family.members)
        family.members.append(family.descend(random, parent, divergence))
    return family


def _fold(random: Random, length: int) -> str:
    """A dot-bracket string: one to three domains with single strands between and around them."""
    domains = 1 if length < 70 else random.randint(1, 2 if length < 160 else 3)
    shares = _shares(random, length - 3 * (domains + 1), domains)
    strands = [_unpaired(random, 1, 5) for _ in range(domains + 1)]
    parts = [strands[0]]
    for share, strand in zip(shares, strands[1:], strict=True):
        parts += [_domain(random, share), strand]
    return "".join(parts)


def _domain(random: Random, budget: int) -> str:
    """A helix of about `budget` letters that ends in a hairpin loop or opens into a multiloop."""
    if budget >= 56 and random.random() < 0.65:
        stem = random.randint(4, 8)
        inner = budget - 2 * stem
        branches = random.randint(2, max(2, min(4, inner // 22)))
        shares = _shares(random, inner - 2 * (branches + 1), branches)
        closed = "".join(_unpaired(random, 0, 4) + _domain(random, share) for share in shares)
        return "(" * stem + closed + _unpaired(random, 0, 4) + ")" * stem
    loop = random.randint(_SHORTEST_LOOP, 8)
    left, right = "", ""
    while len(left) + len(right) + loop + 6 <= budget:
        if left:
            # Between two stems: a bulge on either side, or an internal loop.
            kind = random.random()
            left += _unpaired(random, 1, 3) if kind < 0.65 else ""
            right = (_unpaired(random, 1, 3) if kind >= 0.35 else "") + right
        stem = max(3, min(random.randint(3, 9), (budget - len(left) - len(right) - loop) // 2))
        left += "(" * stem
        right = ")" * stem + right
    if not left:
        left, right = "(((", ")))"
    return left + "." * loop + right


def _shares(random: Random, total: int, parts: int) -> list[int]:
    weights = [random.uniform(0.6, 1.6) for _ in range(parts)]
    return [int(total * weight / sum(weights)) for weight in weights]


def _unpaired(random: Random, shortest: int, longest: int) -> str:
    return "." * random.randint(shortest, longest)


def _partners(structure: str) -> dict[int, int]:
    partners: dict[int, int] = {}
    opened: list[int] = []
    for place, symbol in enumerate(structure):
        if symbol == "(":
            opened.append(place)
        elif symbol == ")":
            other = opened.pop()
            partners[place], partners[other] = other, place
    return partners


def _ancestral_letters(random: Random, structure: str, partners: dict[int, int]) -> str:
    letters = [_drawn(random, _LOOP_LETTERS) for _ in structure]
    for first, second in _pairs(partners):
        pair = _drawn(random, _PAIRS)
        letters[first], letters[second] = pair[0], pair[1]
    for loop in re.finditer(r"(?<=\()\.{4}(?=\))", structure):
        if random.random() < 0.7:
            letters[loop.start() : loop.end()] = random.choice(_TETRALOOPS)
    return "".join(letters)


def _pairs(partners: dict[int, int]) -> Iterator[tuple[int, int]]:
    return ((site, partner) for site, partner in partners.items() if site < partner)


def _drawn(random: Random, weights: dict[str, int], other_than: str | None = None) -> str:
    choices = {value: weight for value, weight in weights.items() if value != other_than}
    return random.choices(list(choices), list(choices.values()))[0]
