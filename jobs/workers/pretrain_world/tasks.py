"""Instructions: count, list, sort, repeat, add, rewrite, sort by feeling, answer in a given form."""

import json

from . import facts
from .wording import Turns, Voice, a, joined, upper_first

WORDS = sorted({word for members in facts.CATEGORIES.values() for word in members if " " not in word and word.islower()})


def count(v: Voice) -> Turns:
    low = v.pick([1, 1, 1, 0, 2, 3, 5, 10])
    high = low + v.rng.randint(2, 10)
    numbers = list(range(low, high + 1))
    if v.chance(0.15):
        return [(v.say("{Count down from $h to $l|Count backwards from $h to $l|Count from $h down to $l}.", l=low, h=high), ", ".join(map(str, reversed(numbers))) + ".")]
    if v.chance(0.15):
        step = v.pick(["even", "odd"])
        chosen = [n for n in range(1, high + 1) if n % 2 == (step == "odd")]
        return [(v.say("{List|Give me|Write|Name} the $s numbers {up to|from 1 to} $h.", s=step, h=high), ", ".join(map(str, chosen)) + ".")]
    if low == 1 and v.chance(0.3):
        return [(v.say("{Count to $h|Can you count to $h|Please count to $h|Count up to $h|Count to $h for me}.", h=high), ", ".join(map(str, numbers)) + ".")]
    return [(v.say("{Count from $l to $h|Please count from $l to $h|Write the numbers from $l to $h|List the numbers from $l to $h|Give me the numbers from $l to $h|Can you count from $l to $h|Say the numbers $l to $h}.", l=low, h=high), ", ".join(map(str, numbers)) + ".")]


def arithmetic(v: Voice) -> Turns:
    sign = v.pick(["+", "+", "-", "-", "x"])
    if v.chance(0.15):
        return [beyond_twenty(v)]
    if sign == "+":
        one = v.rng.randint(0, 20)
        two = v.rng.randint(0, 20 - one)
        result, words, name = one + two, "{plus|and}", "plus"
    elif sign == "-":
        one = v.rng.randint(0, 20)
        two = v.rng.randint(0, one)
        result, words, name = one - two, "{minus|take away}", "minus"
    else:
        one, two = v.rng.randint(1, 10), v.rng.randint(1, 10)
        if one * two > 20:
            one, two = v.rng.randint(1, 4), v.rng.randint(1, 5)
        result, words, name = one * two, "times", "times"
    shown = v.pick([f"{one} {sign} {two}", f"{one} {v.say(words)} {two}", f"{one}{sign}{two}", f"{facts.NUMBERS[one]} {v.say(words)} {facts.NUMBERS[two]}"])
    if v.chance(0.2):
        return [story_sum(v)]
    return [(v.say("{What is|What's|How much is|Calculate|Work out|Can you tell me what is|Solve|Tell me} $s{?|?|?| please?}", s=shown), f"{one} {name} {two} is {result}.")]


def beyond_twenty(v: Voice):
    """Tens, doubles and halves, and some larger sums."""
    one, two = v.rng.randint(10, 60), v.rng.randint(1, 39)
    tens, more = 10 * v.rng.randint(1, 5), 10 * v.rng.randint(1, 5)
    half = v.rng.randint(1, 20)
    return v.pick([
        (v.say("{What is|How much is|Calculate} $a {+|plus} $b?", a=one, b=two), f"{one} plus {two} is {one + two}."),
        (v.say("{What is|How much is|Calculate} $a {+|plus} $b?", a=tens, b=more), f"{tens} plus {more} is {tens + more}."),
        (v.say("{What is|How much is|Calculate} $a {-|minus} $b?", a=tens + more, b=more), f"{tens + more} minus {more} is {tens}."),
        (v.say("{What is half of $n|What is the half of $n|Half of $n}?", n=2 * half), f"Half of {2 * half} is {half}."),
        (v.say("{What is double $n|What is two times $n|Double $n}?", n=half), f"Double {half} is {2 * half}."),
    ])


def story_sum(v: Voice):
    name, item = v.pick(facts.NAMES), v.pick(["apples", "books", "balls", "pencils", "eggs", "coins", "flowers", "cakes", "stamps", "shells"])
    one = v.rng.randint(2, 12)
    if v.chance(0.5):
        two = v.rng.randint(1, 20 - one)
        return v.say("$n has $a $i. {$n gets|A friend gives $n|$n buys|$n finds} $b more. How many $i does $n have{| now}?", n=name, a=one, b=two, i=item), f"{name} has {one + two} {item} now, because {one} plus {two} is {one + two}."
    two = v.rng.randint(1, one - 1)
    left = one - two
    return v.say("$n has $a $i. $n {gives away|loses|sells} $b. How many $i {are left|does $n have left|does $n have now}?", n=name, a=one, b=two, i=item), f"{name} has {left} {item if left > 1 else item[:-1]} left, because {one} minus {two} is {left}."


def bigger(v: Voice) -> Turns:
    one, two = v.some(range(31), 2)
    if v.chance(0.3):
        return [(v.say("{What number comes after $n|What comes after $n|Which number comes after $n|What is the next number after $n}?", n=one), f"{one + 1} comes after {one}.")]
    if v.chance(0.3):
        return [(v.say("{Is $n even or odd|Is $n an even or an odd number|Is the number $n odd or even}?", n=one), f"{one} is an {'odd' if one % 2 else 'even'} number.")]
    if v.chance(0.5):
        return [(v.say("{Which number is bigger, $x or $y|Which is bigger, $x or $y|Which is more, $x or $y|What is larger, $x or $y}?", x=one, y=two), f"{max(one, two)} is bigger than {min(one, two)}.")]
    return [(v.say("{Which number is smaller, $x or $y|Which is smaller, $x or $y|Which is less, $x or $y}?", x=one, y=two), f"{min(one, two)} is smaller than {max(one, two)}.")]


def listing(v: Voice) -> Turns:
    kind, members = v.entry(facts.CATEGORIES)
    count = v.rng.randint(2, min(5, len(members)))
    chosen = v.some(members, count)
    plural = {"piece of clothing": "pieces of clothing", "piece of furniture": "pieces of furniture", "part of the body": "parts of the body", "country": "countries", "city": "cities", "kind of weather": "kinds of weather"}.get(kind, kind + "s")
    ask = v.say("{List|Name|Give me|Tell me|Can you name|Write down|Can you list|I need|Think of|Please list|Please name|Show me} {$n|$n|$n examples of} $k", n=v.pick([facts.NUMBERS[count], count]), k=plural)
    form = v.rng.randrange(4)
    if form == 0:
        return [(ask + v.pick([" as a list.", ", one per line.", " in a numbered list.", " with numbers."]), "\n".join(f"{i}. {word}" for i, word in enumerate(chosen, 1)))]
    if form == 1:
        return [(ask + v.pick([" with dashes.", " as bullet points.", ", each with a dash."]), "\n".join(f"- {word}" for word in chosen))]
    return [(ask + ".", upper_first(joined(chosen)) + ".")]


def words_in(v: Voice) -> Turns:
    """Repeat, shout, sort, spell: working on the words themselves."""
    words = v.some(WORDS, v.rng.randint(2, 5))
    text, one = " ".join(words), v.pick(WORDS)
    return [v.pick([
        (v.say("{Repeat|Say|Repeat after me:|Please repeat|Say after me:} {\"$t\"|$t}{.|}", t=text), text + "."),
        (v.say("{Write|Put} {\"$t\"|$t} in {capital letters|upper case|capitals|big letters}.", t=text), text.upper()),
        (v.say("{Make this upper case|Capitals, please|Change to capital letters|Upper case}: $t", t=text), text.upper()),
        (v.say("{Write|Put} {\"$t\"|$t} in {small letters|lower case}.", t=text.upper()), text),
        (v.say("{Write|Say} the words in {reverse|the opposite} order: $t", t=joined_plain(words)), joined_plain(words[::-1])),
        (v.say("{Sort|Put|Order} {these words|the words} {in alphabetical order|by the alphabet|from a to z}: $t", t=joined_plain(words)), joined_plain(sorted(words))),
        (v.say("{What is the first letter of $w|Which letter does $w start with|What letter does $w begin with|First letter of $w}?", w=one), f"The first letter of {one} is {one[0]}."),
        (v.say("{What is the last letter of $w|Which letter does $w end with|Last letter of $w}?", w=one), f"The last letter of {one} is {one[-1]}."),
        (v.say("{Spell $w|How do you spell $w|Spell the word $w|Can you spell $w}{.|?}", w=one), "-".join(one.upper())),
        (v.say("{How many letters are in|How many letters has|Count the letters in} {the word |}$w?", w=one), f"The word {one} has {len(one)} letters."),
        (v.say("{What is the first word|Which word comes first|First word} in \"$t\"?", t=text), f"The first word is {words[0]}."),
        (v.say("{What is the last word|Which word comes last|Last word} in \"$t\"?", t=text), f"The last word is {words[-1]}."),
        (v.say("{How many words are in|Count the words in} \"$t\"?", t=text), f"There are {facts.NUMBERS[len(words)]} words."),
    ])]


def joined_plain(words):
    return ", ".join(words)


def odd_one_out(v: Voice) -> Turns:
    kind, other = v.some(["fruit", "animal", "colour", "drink", "tool", "vehicle", "sport", "piece of clothing", "metal", "planet", "country", "musical instrument"], 2)
    words = v.some(facts.CATEGORIES[kind], 3)
    stranger = v.pick([word for word in facts.CATEGORIES[other] if word not in facts.CATEGORIES[kind]])
    mixed = v.some(words + [stranger], 4)
    return [(v.say("{Which word does not belong|Find the odd one out|Which one is different|Which one does not fit|What is the odd one out}: $w?", w=joined_plain(mixed)), f"{upper_first(stranger)} does not belong, because it is not {a(kind)}.")]


DEEDS = [("open the window", "opened the window"), ("close the door", "closed the door"), ("send me the book", "sent me the book"), ("help me", "helped me"), ("bring me some water", "brought me some water"), ("wait here", "waited here"), ("call me tomorrow", "called me tomorrow"),
                 ("pass the salt", "passed the salt"), ("turn off the light", "turned off the light"), ("give me the key", "gave me the key"), ("speak slowly", "spoke slowly"), ("show me the way", "showed me the way"), ("answer my letter", "answered my letter"), ("clean the kitchen", "cleaned the kitchen"),
                 ("tell me your name", "told me your name"), ("read this page", "read this page"), ("move your car", "moved your car"), ("sit down", "sat down"), ("be quiet", "were quiet"), ("come here", "came here"), ("fix my bike", "fixed my bike"), ("make some tea", "made some tea"), ("carry my bag", "carried my bag"), ("stop talking", "stopped talking")]


def polite(v: Voice) -> Turns:
    deed, _ = v.pick(DEEDS)
    rude = v.say("{$D|$D now|$D, quickly|You must $d|$D right now}{.|!}", D=upper_first(deed), d=deed)
    return [(v.say("{Make this polite|Make this more polite|Say this politely|Rewrite this politely|Say it in a polite way|Write this in a friendly way|Please rewrite this politely|How can I say this politely}: $r", r=rude), v.say("{Could you please $d?|Would you please $d?}", d=deed))]


PEOPLE = [("I", "my", "am", "was"), ("He", "his", "is", "was"), ("She", "her", "is", "was"), ("We", "our", "are", "were"), ("They", "their", "are", "were")]
ACTIONS = [("eat", "an apple"), ("drink", "a cup of tea"), ("read", "a book"), ("see", "a bird"), ("write", "a letter"), ("buy", "some bread"), ("make", "a cake"), ("find", "a coin"), ("sing", "a song"), ("draw", "a tree"), ("wash", "the car"), ("paint", "the wall"), ("cook", "some soup"), ("play", "the piano"),
           ("open", "the door"), ("clean", "the table"), ("catch", "a fish"), ("build", "a house"), ("carry", "a bag"), ("wear", "a hat"), ("throw", "the ball"), ("sell", "the bike"), ("break", "the cup"), ("drive", "the bus"), ("ride", "a horse"), ("hear", "a noise"), ("lose", "the key"), ("help", "the teacher"), ("fly", "a kite"), ("choose", "a present")]


def third(verb: str) -> str:
    if verb.endswith(("ch", "sh", "ss", "x", "o")):
        return verb + "es"
    return verb[:-1] + "ies" if verb.endswith("y") and verb[-2] not in "aeiou" else verb + "s"


def sentence(v: Voice) -> Turns:
    """Change a sentence: tense, negation, question, person."""
    who, (verb, thing) = v.pick(["I", "You", "We", "They", "He", "She", v.pick(facts.NAMES)]), v.pick(ACTIONS)
    single = who not in {"I", "You", "We", "They"}
    inner = who if who == "I" or who in facts.NAMES else who.lower()
    now = f"{who} {third(verb) if single else verb} {thing}."
    do = "does" if single else "do"
    return [v.pick([
        (v.say("{Put this sentence into the past tense|Change this to the past|Past tense|Write this in the past tense|Rewrite in the past tense}: $s", s=now), f"{who} {facts.PAST[verb]} {thing}."),
        (v.say("{Put this sentence into the future|Change this to the future|Write this in the future tense|Future tense}: $s", s=now), f"{who} will {verb} {thing}."),
        (v.say("{Make this negative|Make this sentence negative|Say the opposite with not|Turn this into a negative sentence}: $s", s=now), f"{who} {do} not {verb} {thing}."),
        (v.say("{Make a question from this|Turn this into a question|Make this a question|Change this sentence into a question}: $s", s=now), f"{upper_first(do)} {inner} {verb} {thing}?"),
        (v.say("{Correct this sentence|Fix this sentence|Correct the mistake|Fix the grammar}: $s", s=f"{who} {verb if single else third(verb)} {thing}."), now),
        (v.say("{What is the verb in this sentence|Find the verb|Which word is the verb}: $s", s=now), f"The verb is {now.split()[1]}."),
    ])]


GOOD = ["I love this {book|film|place|song|cake}.", "The food was {great|wonderful|delicious}.", "What a {lovely|beautiful|wonderful} day!", "The {waiter|driver|teacher|nurse} was very kind.", "I am so happy with my new {phone|bike|coat|chair}.", "This is the best {soup|game|holiday|gift} ever.", "Everything was perfect.", "We had a lot of fun.", "The room was clean and quiet.", "I would buy it again."]
BAD = ["I hate this {book|film|place|song|cake}.", "The food was {bad|terrible|cold}.", "What a {terrible|horrible|sad} day!", "The {waiter|driver|teacher|nurse} was very rude.", "I am so unhappy with my new {phone|bike|coat|chair}.", "This is the worst {soup|game|holiday|gift} ever.", "Everything went wrong.", "We were bored all day.", "The room was dirty and loud.", "I want my money back."]


def sentiment(v: Voice) -> Turns:
    good = v.chance(0.5)
    text = v.say(v.pick(GOOD if good else BAD))
    label = "positive" if good else "negative"
    return [(v.say("{Is this positive or negative|Is this sentence positive or negative|Positive or negative|What is the feeling of this sentence, positive or negative|Is this good or bad news, positive or negative}{:|?} $t", t=text), v.say(f"{{This is {label}.|The sentence is {label}.|It is {label}.}}"))]


def short_answer(v: Voice) -> Turns:
    """The same facts when the person asks for one word."""
    choose = v.rng.randrange(4)
    if choose == 0:
        key, value = v.entry(facts.CAPITALS)
        question = f"What is the capital of {key}?"
    elif choose == 1:
        key, value = v.entry(facts.OPPOSITES)
        question = f"What is the opposite of {key}?"
    elif choose == 2:
        key, value = v.entry(facts.PLURALS)
        question = f"What is the plural of {key}?"
    else:
        key, value = v.entry(facts.PAST)
        question = f"What is the past tense of {key}?"
    value = upper_first(value)
    return [(v.pick([f"{question} Answer with one word.", f"{question} One word only.", f"In one word: {question[0].lower()}{question[1:]}", f"{question} Only the answer, please.", f"{question} Just one word, please."]), f"{value}." if not value.endswith(".") else value)]


def fill_in(v: Voice) -> Turns:
    choose = v.rng.randrange(5)
    if choose == 0:
        key, value = v.entry(facts.CAPITALS)
        gap, full = f"The capital of {key} is ___.", f"The capital of {key} is {value}."
    elif choose == 1:
        key, value = v.entry(facts.OPPOSITES)
        gap, full = f"The opposite of {key} is ___.", f"The opposite of {key} is {value}."
    elif choose == 2:
        key, value = v.entry(facts.SOUNDS)
        gap, full = f"{upper_first(a(key))} says ___.", f"{upper_first(a(key))} says {value}."
    elif choose == 3:
        key, value = v.entry(facts.BABIES)
        gap, full = f"A baby {key} is called ___.", f"A baby {key} is called {a(value)}."
    else:
        day = v.rng.randrange(7)
        gap, full = f"After {facts.DAYS[day]} comes ___.", f"After {facts.DAYS[day]} comes {facts.DAYS[(day + 1) % 7]}."
    return [(v.say("{Fill in the gap|Complete the sentence|Finish the sentence|Fill in the blank|Complete}: $g", g=gap), full)]


def as_json(v: Voice) -> Turns:
    """A little structure, so that a format can be learned on top: never a café order."""
    name, age, place, pet = v.pick(facts.NAMES), v.rng.randint(5, 80), v.pick(facts.CATEGORIES["city"]), v.pick(facts.CATEGORIES["animal"])
    text, data = v.pick([
        (f"{name} is {age} years old.", {"name": name, "age": age}), (f"{name} is {age} and lives in {place}.", {"name": name, "age": age, "city": place}),
        (f"{name} lives in {place}.", {"name": name, "city": place}), (f"{name} has {a(pet)}.", {"name": name, "pet": pet}), (f"{name} is {age} years old and has {a(pet)}.", {"name": name, "age": age, "pet": pet})])
    return [(v.say("{Write this as JSON|Turn this into JSON|Give me this as JSON|JSON, please}: $t", t=text), json.dumps(data))]
