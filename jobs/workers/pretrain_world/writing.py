"""Small pieces of writing: letters and wishes, tips, titles, a sentence about anything, other ways to say it."""

from . import facts, texts
from .tasks import ACTIONS, third
from .wording import Turns, Voice, a, joined, upper_first

OCCASIONS = {
    "birthday": "Happy birthday, $n! {I hope you have a wonderful day with cake and good friends.|May all your wishes come true.}",
    "wedding": "Dear $n, {congratulations on your wedding! I wish you a long and happy life together.|all the best for your wedding and many happy years!}",
    "new job": "Dear $n, {congratulations on your new job! I wish you a good start.|well done! I wish you much success in your new job.}",
    "new house": "Dear $n, {congratulations on your new house! I hope you will be very happy there.|I wish you many happy days in your new home.}",
    "exam": "Dear $n, {good luck with your exam! You have worked hard, and you can do it.|I wish you good luck. Stay calm, you know this.}",
    "illness": "Dear $n, {I heard that you are ill. Get well soon!|I hope you feel better soon. Please rest and take care.}",
    "holiday": "Dear $n, {enjoy your holiday! I hope the sun shines every day.|have a lovely holiday and send me a postcard.}",
}


def letter(v: Voice) -> Turns:
    name, other = v.some(facts.NAMES, 2)
    occasion, text = v.entry(OCCASIONS)
    place, time = v.pick(texts.PLACES), v.pick(["on Saturday", "on Sunday", "tomorrow", "on Friday evening", "next week"])
    gift = a(v.pick(texts.THINGS))
    return [v.pick([
        (v.say("{Write|Can you write|Please write|Help me write} {a card|a message|a short letter|a note|a wish} to $n for {the|a} $o.", n=name, o=occasion), v.say(text, n=name)),
        (v.say("{Write|Can you write|Help me write|I need} {a thank you note|a thank you letter|a note of thanks} to $n for $g.", n=name, g=gift), v.say("Dear $n, thank you {so much|very much} for $g. {I like it a lot.|It was very kind of you.} Kind regards", n=name, g=gift)),
        (v.say("{Write|Can you write|Help me write} {an invitation to $n to come|a message to invite $n} to $p $t.", n=name, p=place, t=time), v.say("Dear $n, would you like to come to $p $t? I would be very happy to see you there.", n=name, p=place, t=time)),
        (v.say("{Write|Can you write|Help me write} {a short email|an email|a message} to my {boss|teacher} that I am ill{| today}."), v.say("{Hello|Good morning}, I am ill today and cannot come. I am sorry for the trouble. Kind regards")),
        (v.say("{Write|Help me write} {an apology|a note to say sorry} to $n.", n=name), v.say("Dear $n, I am very sorry. {I made a mistake, and I will do better.|I did not want to hurt you.} Please forgive me.", n=name)),
    ])]


TIPS = {
    "sleep well": ["go to bed at the same time", "keep the room dark", "put the phone away", "drink no coffee in the evening"],
    "learn new words": ["learn a few each day", "use them in sentences", "read easy books", "write them on cards"],
    "stay healthy": ["eat fruit and vegetables", "drink enough water", "sleep eight hours", "walk every day"],
    "save money": ["write down what you spend", "cook at home", "buy only what you need", "compare prices"],
    "make friends": ["smile and say hello", "ask questions", "listen well", "join a club"],
    "keep a room tidy": ["put things back", "throw away what you do not need", "clean a little every day", "make the bed in the morning"],
    "write a good letter": ["begin with a greeting", "use short sentences", "say clearly what you want", "end with kind regards"],
    "study for a test": ["start early", "make a plan", "take short breaks", "explain it to a friend"],
    "take care of a dog": ["walk it every day", "give it fresh water", "play with it", "take it to the vet"],
    "take care of a plant": ["give it light", "water it, but not too much", "use good soil", "remove dry leaves"],
    "feel less stressed": ["breathe slowly", "go for a walk", "talk to a friend", "do one thing at a time"],
    "travel well": ["pack light", "take your papers", "arrive early", "drink enough water"],
    "cook better": ["use fresh food", "taste while you cook", "follow the recipe", "be patient"],
    "be a good friend": ["listen", "be honest", "help when you can", "keep your promises"],
    "speak in public": ["practise at home", "speak slowly", "look at the people", "smile"],
    "have a good morning": ["get up early", "drink a glass of water", "open the window", "eat a good breakfast"],
}


def tips(v: Voice) -> Turns:
    goal, advice = v.entry(TIPS)
    count = v.rng.randint(2, 4)
    chosen = v.some(advice, count)
    ask = v.say("{Give me|Write|I need|List|Tell me|Can you give me} {$n|$n|some} {tips|ideas|pieces of advice} {to|on how to} $g.", n=facts.NUMBERS[count], g=goal)
    if "some" in ask or v.chance(0.3):
        return [(ask, upper_first(joined(chosen)) + ".")]
    return [(ask, "\n".join(f"{i}. {upper_first(tip)}." for i, tip in enumerate(chosen, 1)))]


def how_to(v: Voice) -> Turns:
    goal, advice = v.entry(TIPS)
    return [(v.say("{How can I|How do I|What can I do to|What helps to|What should I do to} $g?", g=goal), f"{upper_first(joined(v.some(advice, 3)))}.")]


NOUNS = ["cat", "dog", "horse", "bird", "tree", "flower", "house", "car", "train", "boat", "book", "letter", "song", "teacher", "friend", "baker", "doctor", "child", "garden", "window", "door", "table", "lamp", "cake", "apple", "river", "cloud", "star", "coat", "hat", "shoe", "bag", "phone", "clock", "key"]
DESCRIBED = ["small", "old", "new", "beautiful", "red", "blue", "big", "friendly", "quiet", "bright", "lovely", "strange", "green", "happy"]


def about_noun(v: Voice) -> Turns:
    noun, adjective, place = v.pick(NOUNS), v.pick(DESCRIBED), v.pick(texts.PLACES)
    name, (verb, thing) = v.pick(facts.NAMES), v.pick(ACTIONS)
    return [v.pick([
        (v.say("{Write|Make|Give me|Form} {a|one|a short} sentence {with|about|using} {the word $w|$w|\"$w\"}.", w=noun), v.say("{The $j $w is near $p.|I saw $k near $p.|There is $k in my picture.|My friend has $k.}", j=adjective, w=noun, p=place, k=a(f"{adjective} {noun}"))),
        (v.say("{Write|Make|Give me|Form} a sentence with {the words |}$w and $j.", w=noun, j=adjective), v.say("{The $w is $j.|I like the $j $w.|What $k!}", j=adjective, w=noun, k=a(f"{adjective} {noun}"))),
        (v.say("{Write|Make|Give me|Form} a sentence {with|about} {the name |}$n.", n=name), f"{name} {third(verb)} {thing} near {place}."),
        (v.say("{Describe|Give me two words for|How would you describe} $a{.|.|?}", a=a(noun)), v.say("The $w can be $j and $k.", w=noun, j=adjective, k=v.pick([d for d in DESCRIBED if d != adjective]))),
        (v.say("{Give me|Name|Tell me} an adjective{| for the word $w}.", w=noun), f"{upper_first(adjective)}."),
        (v.say("{Give me|Name|Tell me} a {noun|thing}."), f"{upper_first(noun)}."),
        (v.say("{Give me|Name|Tell me} a verb."), f"{upper_first(verb)}."),
        (v.say("{Add an adjective|Make this longer|Make this more interesting}: I see $w.", w=a(noun)), f"I see {a(f'{adjective} {noun}')}."),
        (v.say("{Is \"$w\"|Is $w} a noun, a verb or an adjective?", w=(word := v.pick([noun, adjective, verb]))), f"{upper_first(word)} is {'a noun' if word == noun else 'an adjective' if word == adjective else 'a verb'}."),
    ])]


def rewrite(v: Voice) -> Turns:
    name, (verb, thing), place = v.pick(facts.NAMES), v.pick(ACTIONS), v.pick(texts.PLACES)
    other = v.pick([n for n in facts.NAMES if n != name])
    now = f"{name} {third(verb)} {thing}."
    return [v.pick([
        (v.say("{Replace|Change} $n {with|to} $o: $s", n=name, o=other, s=now), now.replace(name, other)),
        (v.say("{Join these sentences|Make one sentence|Combine these}: $n {went|came} to $p. $n was happy.", n=name, p=place), f"{name} went to {place} and was happy."),
        (v.say("{Who is this sentence about|What is the subject|Who does it}: $s", s=now), f"{name}."),
        (v.say("{Make this a greeting for $n|Greet $n|Say hello to $n}.", n=name), v.say("{Hello|Hi}, $n! {How are you?|It is nice to see you.}", n=name)),
        (v.say("{Write|Say} this {three|3} times: $w", w=(w := v.pick(NOUNS))), f"{w} {w} {w}"),
        (v.say("{Write|Say} \"$w\" {two times|twice}.", w=(w2 := v.pick(NOUNS))), f"{w2} {w2}"),
        (v.say("{Give this text a title|Find a title|What is a good title for this}: $n lost the $t at $p. After a long time $o found it.", n=name, o=other, p=place, t=(lost := v.pick(texts.THINGS))), f"The Lost {upper_first(lost)}"),
    ])]
