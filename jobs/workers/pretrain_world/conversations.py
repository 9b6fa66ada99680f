"""Conversations of several turns: remembering what was said, follow-up questions, and what a system message asks."""

from . import chat, copying, everyday, facts, knowledge, talk, tasks, texts, writing
from .wording import Turns, Voice, a, joined, upper_first

FACTS_TOLD = {
    "name": ("{My name is $x|I am $x|I'm $x|Hi, I am $x|Hello, my name is $x|You can call me $x|Hi, my name is $x}.", "{Nice to meet you, $x!|Hello, $x!|Hi, $x! It is nice to meet you.} {How can I help you?|What can I do for you?|}", "{What is my name|What's my name|Do you know my name|Do you remember my name|Who am I|Can you tell me my name|What am I called}?", "Your name is $x."),
    "colour": ("{My favourite colour is $x|I like the colour $x best|The colour I like most is $x|I love the colour $x}.", "{$X is a lovely colour!|That is a nice colour.|$X is beautiful.}", "{What is my favourite colour|Which colour do I like|Do you remember my favourite colour|What colour do I like best|What's my favourite color}?", "Your favourite colour is $x."),
    "food": ("{My favourite food is $x|I love eating $x|I like $x best of all food|The food I like most is $x}.", "{That sounds tasty!|Yummy!|$X is a good choice.}", "{What is my favourite food|Which food do I like|What do I love eating|Do you remember what I like to eat}?", "Your favourite food is $x."),
    "city": ("{I live in $x|My home is in $x|I come from $x|I am from $x}.", "{How nice!|$x is a beautiful city.|I have heard of $x.}", "{Where do I live|Which city do I live in|Where am I from|Do you remember where I live}?", "You live in $x."),
    "pet": ("{I have a $x|I have a pet $x|My pet is a $x}.", "{How lovely!|That is nice!|How nice!}{| What is its name?}", "{Which pet do I have|What pet do I have|What animal do I have|Do you remember my pet|What kind of pet do I have}?", "You have a $x."),
    "age": ("{I am $x years old|I'm $x|I am $x|My age is $x}.", "{That is a good age.|Okay, good to know.|Thank you for telling me.}", "{How old am I|What is my age|Do you remember how old I am}?", "You are $x years old."),
    "job": ("{I work as a $x|I am a $x by profession|I work as the $x of our town|My job: I am a $x}.", "{That is interesting!|How nice!|That sounds like good work.}", "{What is my job|What do I do for work|Do you remember my job|What is my work}?", "You work as a $x."),
    "hobby": ("{My hobby is $x|I love $x|I like $x very much|In my free time I like $x}.", "{That is nice!|How lovely!|That sounds like fun.}", "{What is my hobby|What do I like to do|Do you remember my hobby|What do I like doing}?", "You like $x."),
    "sister": ("{My sister is called $x|My sister's name is $x|I have a sister named $x}.", "{That is a lovely name.|$x is a nice name.}", "{What is my sister's name|What is the name of my sister|Do you remember my sister's name}?", "Your sister is called $x."),
    "dog": ("{My dog is called $x|My dog's name is $x|I have a dog named $x}.", "{$x is a nice name for a dog!|Hello to $x!|What a good name!}", "{What is my dog's name|What is my dog called|Do you remember the name of my dog}?", "Your dog is called $x."),
    "number": ("{My lucky number is $x|Remember the number $x|Please remember the number $x|The secret number is $x}.", "{Okay, I will remember it.|Good to know.|All right.}", "{What was the number|Which number did I tell you|What number did I say|Do you remember the number}?", "The number is $x."),
}


def told_value(v: Voice, what: str):
    if what in {"name", "sister"}:
        return v.pick(facts.NAMES)
    return v.pick({"colour": facts.COLOURS, "city": sorted(set(facts.CAPITALS.values()) - {"Washington, D.C."}), "pet": ["dog", "cat", "rabbit", "horse", "hamster", "parrot", "goldfish", "turtle", "mouse"],
                   "food": ["pizza", "soup", "cake", "pasta", "rice", "salad", "chocolate", "cheese", "bread", "fish", "pancakes", "ice cream", "noodles", "apples", "potatoes"],
                   "age": list(range(6, 91)), "number": list(range(1, 100)), "job": [j for j in facts.JOBS if j[0] not in "aeiou"],
                   "hobby": ["reading", "swimming", "cooking", "painting", "singing", "dancing", "gardening", "chess", "football", "hiking", "drawing", "fishing", "cycling", "running"],
                   "dog": ["Rex", "Bella", "Max", "Luna", "Rocky", "Daisy", "Buddy", "Coco", "Spot", "Milo", "Ruby", "Sam", "Toby", "Bruno"]}[what])


def memory(v: Voice) -> Turns:
    """The person says something about themselves and asks for it later, sometimes with other talk between."""
    what, other = v.some(FACTS_TOLD, 2)
    value, second = told_value(v, what), told_value(v, other)
    tell, reply, ask, answer = (FACTS_TOLD[what][i] for i in range(4))
    slots = {"x": value, "X": upper_first(str(value))}
    turns = [(v.say(tell, **slots), v.say(reply, **slots))]
    if v.chance(0.25):
        slots2 = {"x": second, "X": upper_first(str(second))}
        turns.append((v.say(FACTS_TOLD[other][0], **slots2), v.say(FACTS_TOLD[other][1], **slots2)))
        if v.chance(0.4):
            turns.append((v.say(FACTS_TOLD[other][2]), v.say(FACTS_TOLD[other][3], **slots2)))
    elif v.chance(0.3):
        turns += light(v)[:1]
    elif v.chance(0.15):
        first = turns.pop()
        told = first[0]
        return [(f"{told} {v.say(ask)}", v.say(answer, **slots))]
    turns.append((v.say(ask), v.say(answer, **slots)))
    return turns


def not_told(v: Voice) -> Turns:
    what = v.pick(list(FACTS_TOLD))
    known = {"name": "your name", "colour": "your favourite colour", "food": "your favourite food", "city": "where you live", "pet": "about a pet", "age": "how old you are", "job": "your job", "hobby": "your hobby", "sister": "your sister's name", "dog": "your dog's name", "number": "a number"}[what]
    turn = (v.say(FACTS_TOLD[what][2]), v.say("{You have not told me $k yet.|I do not know, you have not told me $k yet.}", k=known))
    return ([light(v)[0]] if v.chance(0.3) else []) + [turn]


AND = "{And|What about|How about|And what about|Now}"


def follow_up(v: Voice) -> Turns:
    """The second question leaves out what the first one said."""
    which = v.rng.randrange(9)
    if which == 0:
        (one, city), (two, second) = v.some(facts.CAPITALS.items(), 2)
        return [(v.say("{What is the capital of $c|Capital of $c|Tell me the capital of $c}?", c=one), f"The capital of {one} is {city}."), (v.say(AND + " {of $c|$c}?", c=two), f"The capital of {two} is {second}.")]
    if which in (1, 2):
        one, two = v.entry(facts.OPPOSITES)
        if which == 1:
            three, four = v.entry(facts.OPPOSITES)
            return [knowledge_turn(v, one, two), (v.say(AND + " {of |}$x?", x=v.pick([three, f'"{three}"'])), f"The opposite of {three} is {four}.")]
        word = one
        return [(v.say("{Say the word $w|Repeat: $w|Give me the word $w|Write the word $w|Say $w}.", w=word), f"{upper_first(word)}."), (v.say("{And the opposite of that|What is the opposite of that|And the opposite|Now the opposite|What is its opposite|What is the opposite of that word}?"), f"The opposite of {word} is {two}.")]
    if which == 3:
        (one, sound), (two, second) = v.some(facts.SOUNDS.items(), 2)
        return [(v.say("{What sound does $x make|What does $x say}?", x=a(one)), f"{upper_first(a(one))} says {sound}."), (v.say(AND + " $x?", x=a(two)), f"{upper_first(a(two))} says {second}.")]
    if which == 4:
        kind, members = v.entry({k: m for k, m in facts.CATEGORIES.items() if len(m) >= 4})
        one, two = v.some(members, 2)
        return [(v.say("{Name|Tell me|Give me|Say} $k.", k=a(kind)), f"{upper_first(one)}."), (v.say("{Another one|One more|And another one|Give me one more|Tell me another|Another}{, please|}{.|?}"), f"{upper_first(two)}.")]
    if which == 5:
        one, two, three = v.rng.randint(1, 8), v.rng.randint(1, 6), v.rng.randint(1, 5)
        return [(f"What is {one} plus {two}?", f"{one} plus {two} is {one + two}."), (v.say("{And plus $n|Now add $n|And if you add $n|Plus $n|Add $n to that}?", n=three), f"{one + two} plus {three} is {one + two + three}.")]
    if which == 6:
        (one, many), (two, second) = v.some(facts.PLURALS.items(), 2)
        return [(f"What is the plural of {one}?", f"The plural of {one} is {many}."), (v.say(AND + " {of |}$x?", x=two), f"The plural of {two} is {second}.")]
    if which == 7:
        day = v.rng.randrange(7)
        return [(f"What day comes after {facts.DAYS[day]}?", f"{facts.DAYS[(day + 1) % 7]} comes after {facts.DAYS[day]}."), (v.say("{And after that|And the day after that|And then}?"), f"{facts.DAYS[(day + 2) % 7]} comes after {facts.DAYS[(day + 1) % 7]}.")]
    words = v.some(tasks.WORDS, 3)
    return [(v.say("{Remember|Please remember} these words: $w.", w=joined(words)), "Okay, I will remember them."), v.pick([(v.say("{Which words did I say|What were the words|Say the words again}?"), f"{upper_first(joined(words))}."), (v.say("What was the {first|1st} word?"), f"The first word was {words[0]}."), (v.say("What was the last word?"), f"The last word was {words[-1]}.")])]


def knowledge_turn(v, one, two):
    return v.say("{What is the opposite of $x|Opposite of $x|Tell me the opposite of $x}?", x=one), f"The opposite of {one} is {two}."


def look_back(v: Voice) -> Turns:
    """What did I say, what did you say, again, shorter, why."""
    first = light(v)[0]
    said, answered = first
    return [first, v.pick([
        (v.say("{What did I just say|What did I say|Repeat what I said|What was my question|What did I ask}?"), f'You said: "{said}"'),
        (v.say("{What did you say|Say that again|Can you repeat that|Repeat that, please|Once more, please|Again, please|Pardon|Sorry, what}?"), answered),
        (v.say("{Thanks|Thank you|Great, thanks|Okay, thank you|Good, thank you}{!|.}"), v.say("{You are welcome!|My pleasure.|Glad I could help.}{| Is there anything else?}")),
        (v.say("{Are you sure|Really|Is that true|Is that right}?"), v.say("{I think so, but I am a small model and can be wrong.|I believe so, but I can make mistakes.}")),
        (v.say("{Write that in capital letters|Say that in capital letters|In capitals, please}."), answered.upper()),
        (v.say("{Bye|Goodbye|See you|I have to go now}{!|.}"), v.say("{Goodbye!|Bye!|See you soon!} {Have a nice day.|Take care.}")),
        (v.say("{Okay|Ok|I see|Good|Right|Aha|Interesting|Cool|Nice}{.|!}"), v.say("{What would you like to do next?|Is there anything else I can do?|Do you have another question?}")),
    ])]


PERSONA_NAMES = ["Lia", "Nova", "Robin", "Kit", "Sunny", "Pip", "Atlas", "Mo", "Echo", "Juno", "Bo", "Sky", "Iris", "Otto", "Max", "Ada"]


def with_system(v: Voice) -> tuple[str, Turns]:
    """A system message that changes the answer: a name, capital letters, one word, a role."""
    which = v.rng.randrange(5)
    if which == 0:
        name, role = v.pick(PERSONA_NAMES), v.pick(["a helpful assistant", "a friendly guide", "the helper of a library", "a kind teacher", "the assistant of a small shop", "a cheerful helper"])
        system = v.say("{You are $n, $r.|Your name is $n. You are $r.|You are $r named $n.}", n=name, r=role)
        ask = v.say("{Who are you|What is your name|What's your name|Introduce yourself|Do you have a name}?")
        return system, ([light(v)[0]] if v.chance(0.3) else []) + [(ask, f"I am {name}, {role}.")]
    if which == 1:
        turns = single(v)
        return v.say("{Answer in capital letters.|Write everything in capital letters.|Always use capital letters.}"), [(said, answer.upper()) for said, answer in turns]
    if which == 2:
        said, answer = tasks.short_answer(v)[0]
        said = said.removeprefix("In one word: ")
        for ending in (" Answer with one word.", " One word only.", " Only the answer, please.", " Just one word, please."):
            said = said.removesuffix(ending)
        return v.say("{Answer with one word.|Use one word only.|Give only the answer.|Be as short as you can.}"), [(upper_first(said), answer)]
    system = v.pick(["You are a helpful assistant.", "You are a friendly assistant.", "Be kind and helpful.", "You are a helpful assistant. Answer in simple English.", "Answer the question.", "You are an assistant in LoRA Studio.", "Be brief.", "Help the user."])
    return system, (memory(v) if v.chance(0.3) else single(v))


SINGLE = [(chat.greeting, 5), (chat.how_are_you, 2), (chat.farewell, 2), (chat.thanks, 3), (chat.identity, 8), (chat.unknown, 3), (chat.feeling, 5), (chat.liking, 3), (chat.event, 3), (chat.fun, 2), (chat.danger, 3), (chat.other_danger, 1), (chat.opinion, 1), (chat.about_me, 4),
          (knowledge.capital, 6), (knowledge.country, 3), (knowledge.animal, 10), (knowledge.colour, 5), (knowledge.word, 12), (knowledge.thing, 12), (knowledge.calendar, 5), (knowledge.kind, 7),
          (tasks.count, 4), (tasks.arithmetic, 7), (tasks.bigger, 3), (tasks.listing, 7), (tasks.words_in, 7), (tasks.odd_one_out, 2), (tasks.polite, 2), (tasks.sentence, 6), (tasks.sentiment, 2), (tasks.short_answer, 3), (tasks.fill_in, 3), (tasks.as_json, 2),
          (texts.reading, 8), (texts.summary, 2), (texts.extract, 2), (texts.write_sentence, 2), (texts.poem, 1), (texts.little_story, 2), (texts.advice, 4),
          (everyday.yes_no, 3), (everyday.who_can, 1), (everyday.property_of, 4), (everyday.comparing, 4), (everyday.difference, 1), (everyday.where, 4), (everyday.when, 3), (everyday.family, 2), (everyday.about, 8), (everyday.letters, 2), (everyday.choose, 2),
          (writing.letter, 3), (writing.tips, 3), (writing.how_to, 2), (writing.about_noun, 4), (writing.rewrite, 2), (talk.plain, 8), (copying.statement, 5)]
KINDS, WEIGHTS = zip(*SINGLE, strict=True)


def single(v: Voice) -> Turns:
    return v.rng.choices(KINDS, WEIGHTS)[0](v)


def light(v: Voice) -> Turns:
    """Anything but danger: after that nobody goes on as if nothing had been said."""
    kind = v.rng.choices(KINDS, WEIGHTS)[0]
    return light(v) if kind in {chat.danger, chat.other_danger} else kind(v)


def chain(v: Voice) -> Turns:
    """Several matters in one conversation, one after the other."""
    turns = []
    for _ in range(v.rng.randint(2, 3)):
        turns += light(v)
    return turns
