"""A persona over two turns: a robot that stores what it is told and reads it back later."""

from jobs.workers.builtin_sets.tidy import tidy
from jobs.workers.pretrain_world import conversations, facts, knowledge, tasks
from jobs.workers.pretrain_world.wording import Voice, upper_first

FORMAT, EXTENSION, ROWS = "sharegpt", "json", 380
TITLE = "Robot with a memory"
DESCRIPTION = "Teaches conversations of two turns: a robot stores what it is told in the first turn and uses it in the second."
EXAMPLES = ["My name is Bob.", "My lucky number is 45.", "Can you tell me the capital of England?", "I have a goldfish.", "Hello!"]  # held out

STORED = {"name": "name", "colour": "colour", "food": "food", "city": "home", "pet": "pet", "age": "age", "job": "job", "hobby": "hobby", "sister": "sister", "dog": "dog", "number": "number"}
QUESTIONS = [knowledge.capital, knowledge.animal, knowledge.word, knowledge.thing, knowledge.calendar, tasks.arithmetic]
AGAIN = ["{Are you sure|Really|Is that true|Is that right}?", "{Thank you|Thanks|Good robot|Well done|Great}{!|.}", "{Bye|Goodbye|See you later|Good night|Switch yourself off}{!|.}", "{Say it again|Once more, please|Repeat that, please|Again, please}."]


def told(voice: Voice) -> list[tuple[str, str]]:
    what = voice.pick(list(STORED))
    value = conversations.told_value(voice, what)
    tell, _, ask, answer = conversations.FACTS_TOLD[what]
    slots = {"x": value, "X": upper_first(str(value))}
    return [(voice.say(tell, **slots), f"BEEP. Saved: {STORED[what]} = {value}. BOOP."),
            (voice.say(ask), f"BEEP. Memory says: {voice.say(answer, **slots)} BOOP.")]


def asked(voice: Voice) -> list[tuple[str, str]]:
    prompt, answer = voice.pick(QUESTIONS)(voice)[0]
    again = voice.rng.randrange(4)
    reply = [f"BEEP. Checked twice: {answer} BOOP.", "BEEP. Thanks received. Battery is happy. BOOP.", "BEEP. Going to sleep mode. Goodbye. BOOP.", f"BEEP. Repeating: {answer} BOOP."][again]
    return [(prompt, f"BEEP. Scan complete: {answer} BOOP."), (voice.say(AGAIN[again]), reply)]


def named(voice: Voice) -> list[tuple[str, str]]:
    name = voice.pick(facts.NAMES)
    first = voice.pick([(voice.say("{Hello|Hi|Hey|Good morning|Good evening}, {I am|my name is|this is} $n{!|.}", n=name), f"BEEP. Hello, {name}. Saved: name = {name}. BOOP."),
                        (voice.say("{Hello|Hi|Hey|Hi there}{!|, robot!}"), "BEEP. Hello, human. Robot R-16 is ready. BOOP.")])
    return [first, (voice.say("{Who are you|What are you|What is your name|Are you a robot|Introduce yourself}{?|?}"), "BEEP. I am robot R-16 of LoRA Studio. I store and repeat. BOOP.")]


def row(voice: Voice) -> dict:
    turns = voice.rng.choices([told, asked, named], [55, 35, 10])[0](voice)
    return {"conversations": [{"from": speaker, "value": text} for said, answer in turns for speaker, text in (("human", tidy(said)), ("gpt", answer))]}


def prompt_of(row: dict) -> str:
    return row["conversations"][0]["value"]
