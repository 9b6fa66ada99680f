"""Copying and setting out anything: every token is written now and then, so that an adapter can make use of all of them.

A token that is never an answer is unlearnt: its (tied) embedding is pushed away from everything, and an adapter, which
leaves the embeddings as they are, cannot bring it back. Symbols and rare words are therefore copied here.
"""

import json

from . import facts
from .wording import Turns, Voice

SYMBOLS = list("!#$%&()*+,-./:;<=>?@[]^_`{|}~'\"\\") + ["->", "=>", "::", "**", "##", "//", "--", "==", "...", "||", "&&", "<b>", "</b>", "###", "```", "é", "ü", "ñ", "ç", "ö", "à", "€", "£", "°", "—", "“", "”", "’"]
KEYS = ["name", "age", "city", "colour", "size", "count", "price", "type", "date", "status", "title", "label", "topic", "item", "number", "first", "last", "country", "animal", "food", "day", "time", "user", "id", "value", "key", "mood", "level", "place", "from", "to"]
JOINERS = [" | ", ", ", "; ", " - ", " / ", "_", "-", " = ", ":", " + ", " > ", " & ", "|", "=", ".", " -> "]
WRAPS = [("[", "]"), ("(", ")"), ("{", "}"), ("<", ">"), ("*", "*"), ("**", "**"), ('"', '"'), ("'", "'"), ("_", "_"), ("# ", ""), ("- ", ""), ("> ", ""), ("<b>", "</b>"), ("`", "`")]


def words(v: Voice, vocabulary: list[str], least: int, most: int) -> list[str]:
    pool = v.rng.choices([vocabulary, facts.NAMES, KEYS, SYMBOLS, [str(v.rng.randint(0, 2000))]], [50, 12, 15, 15, 8], k=v.rng.randint(least, most))
    return [v.pick(part) for part in pool]


def plain_words(v: Voice, vocabulary: list[str], least: int, most: int) -> list[str]:
    return [word for word in words(v, vocabulary, least, most) if word[0].isalnum()] or [v.pick(KEYS)]


def copied(v: Voice, vocabulary: list[str]) -> Turns:
    """The template trims what is said, so the copy is trimmed as well."""
    text = v.pick([" ", " ", " ", " ", " ", ""]).join(words(v, vocabulary, 2, 9)).strip()
    return [(v.say("{Repeat|Repeat exactly|Copy|Copy this text|Write exactly|Say exactly|Type this}: ") + " " + text, text)]


def set_out(v: Voice, vocabulary: list[str]) -> Turns:
    parts = plain_words(v, vocabulary, 2, 5)
    joiner, (left, right) = v.pick(JOINERS), v.pick(WRAPS)
    keys = v.some(KEYS, v.rng.randint(1, 4))
    values = [v.pick([*plain_words(v, vocabulary, 1, 1), v.pick(facts.NAMES), v.rng.randint(0, 100), v.pick([True, False, None])]) for _ in keys]
    pairs = v.pick([("=", ", "), (": ", ", "), (": ", " | "), (" = ", "; "), (":", "\n"), ("=", " "), (": ", "\n")])
    texts = [value if isinstance(value, str) else json.dumps(value) for value in values]
    paired = pairs[1].join(f"{key}{pairs[0]}{text}" for key, text in zip(keys, texts, strict=True))
    shown = ", ".join(f"{key} {text}" for key, text in zip(keys, texts, strict=True))
    name = {"\n": "a new line"}.get(pairs[1], f'"{pairs[1].strip() or "a space"}"')
    return [v.pick([
        (f'Join with "{joiner.strip()}": {" ".join(parts)}', joiner.join(parts)),
        (f"Write as {left}x{right}: {parts[0]}", f"{left}{parts[0]}{right}".strip()),
        (f"Write each as {left}x{right}: {' '.join(parts)}", " ".join(f"{left}{part}{right}" for part in parts).strip()),
        (f"JSON list: {', '.join(parts)}", json.dumps(parts, ensure_ascii=False)),
        (v.say("{JSON object|As JSON|Write as JSON}: ") + " " + shown, json.dumps(dict(zip(keys, values, strict=True)), ensure_ascii=False)),
        (f'Pairs with "{pairs[0].strip()}" and {name}: {shown}', paired),
        (f"Write as {keys[0]}: x | {keys[-1]}: y: {parts[0]} {parts[-1]}", f"{keys[0]}: {parts[0]} | {keys[-1]}: {parts[-1]}"),
        (f"Table row: {', '.join(parts)}", "| " + " | ".join(parts) + " |"),
        (f"Put BEGIN before and END after: {' '.join(parts)}", f"BEGIN {' '.join(parts)} END"),
    ])]


THINGS = ["soup", "train", "book", "film", "room", "teacher", "garden", "coat", "game", "shop", "letter", "phone", "hotel", "waiter", "house", "bag", "cake", "bus", "park", "story", "table"]
GOOD, BAD = ["great", "lovely", "very nice", "beautiful", "clean", "quiet", "kind", "warm", "wonderful", "new"], ["bad", "too loud", "dirty", "late", "cold", "broken", "too small", "boring", "terrible", "old", "rude"]
DID = ["went to the market", "saw a big dog", "read a long book", "cooked for my friends", "met my neighbour", "cleaned the kitchen", "bought a new lamp", "walked by the river", "played with my sister", "waited for an hour", "wrote a letter", "ate too much cake", "took the bus", "painted the door"]


def statement(v: Voice) -> Turns:
    """Somebody simply says something; it listens and asks on."""
    thing, good = v.pick(THINGS), v.chance(0.5)
    which = v.rng.randrange(4)
    if which == 0:
        return [(v.say("{Yesterday|Today|This morning|Last week} {I|we} $d.", d=v.pick(DID)), v.say("{I see.|That is interesting.|How nice.} {How was it?|Did you like it?|Tell me more.|What happened then?}"))]
    if which == 1:
        item = v.pick(["coffee", "pizza", "tea", "salad", "soup", "juice", "cake", "burger"])
        wish = v.pick([f"a {item}", f"one {item}", f"two {item}s", f"three {item}s", f"some {item}"])
        return [(v.say("{I would like|Can I have|I want|Please give me|Could you bring me} $w{, please|}.", w=wish), v.say("I am sorry, I am a computer program, so I cannot {bring you $i|serve food or drinks}.", i=item))]
    return [(v.say("{The $t was $q|The $t is $q|Our $t was $q|I think the $t is $q|My $t is $q}{.|.|!}", t=thing, q=v.pick(GOOD if good else BAD)), v.say("{That sounds good!|I am glad to hear that.|How nice!} {What did you like most?|Tell me more.}") if good else v.say("{That is a pity.|I am sorry to hear that.} {What happened?|I hope it gets better.|Tell me more.}"))]


def stream_of(vocabulary: list[str], seed: int):
    """For ever; the words come from the tokenizer's own vocabulary."""
    voice = Voice(f"copying {seed}")
    while True:
        yield voice.rng.choices([copied, set_out], [55, 45])[0](voice, vocabulary)
