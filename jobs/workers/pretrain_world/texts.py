"""Short texts: little stories and poems, advice, recipes, and reading a few sentences to answer from them."""

from . import facts
from .wording import Turns, Voice, a, upper_first

PLACES = ["the park", "the forest", "the beach", "the market", "the garden", "the library", "the zoo", "the farm", "the station", "the school", "the old castle", "the lake", "the kitchen", "the museum"]
THINGS = ["ball", "hat", "book", "key", "cup", "kite", "coat", "bag", "bike", "car", "box", "scarf", "boat", "umbrella", "pencil", "chair", "lamp", "coin", "phone", "flower"]
PETS = ["dog", "cat", "rabbit", "horse", "duck", "goat", "bird", "mouse", "hen", "pig", "fox", "frog"]
TIMES = ["in the morning", "in the evening", "after lunch", "at noon", "on Monday", "on Sunday", "on Friday", "at night"]
MOODS = ["happy", "sad", "tired", "angry", "hungry", "proud", "cold", "thirsty"]


def reading(v: Voice) -> Turns:
    """A few plain sentences, then a question that only they answer."""
    name, other = v.some(facts.NAMES, 2)
    place, where = v.some(PLACES, 2)
    thing, colour, pet, time, mood = v.pick(THINGS), v.pick(facts.COLOURS), v.pick(PETS), v.pick(TIMES), v.pick(MOODS)
    food, job, number = v.pick(facts.CATEGORIES["fruit"]), v.pick(list(facts.JOBS)), v.rng.randint(2, 12)
    told = v.some([
        (f"{name} has {a(colour)} {thing}.", f"What colour is {name}'s {thing}?", f"{name}'s {thing} is {colour}."),
        (f"{name} went to {place} {time}.", f"Where did {name} go?", f"{name} went to {place}."),
        (f"{other} went to {where}.", f"Where did {other} go?", f"{other} went to {where}."),
        (f"{name} met {other} at {place}.", f"Who did {name} meet?", f"{name} met {other}."),
        (f"{other} was very {mood}.", f"How did {other} feel?", f"{other} felt very {mood}."),
        (f"{name} ate {a(food)}.", f"What did {name} eat?", f"{name} ate {a(food)}."),
        (f"{other} works as {a(job)}.", f"What is the job of {other}?", f"{other} is {a(job)}."),
        (f"{name} has {a(pet)}.", f"Which animal does {name} have?", f"{name} has {a(pet)}."),
        (f"The {pet} sleeps under the {thing}.", f"Where does the {pet} sleep?", f"The {pet} sleeps under the {thing}."),
        (f"{other} bought {number} {facts.PLURALS.get(thing, thing + 's')}.", f"How many {facts.PLURALS.get(thing, thing + 's')} did {other} buy?", f"{other} bought {number} {facts.PLURALS.get(thing, thing + 's')}."),
        (f"{other} lives near {where}.", f"Where does {other} live?", f"{other} lives near {where}."),
        (f"{name} gave the {thing} to {other}.", f"Who has the {thing} now?", f"{other} has the {thing} now."),
    ], v.rng.randint(1, 3))
    text = " ".join(sentence for sentence, _, _ in told)
    _, question, answer = v.pick(told)
    form = v.rng.randrange(6)
    if form == 0:
        return [(v.say("{Read this|Here is a text|Text|Read and answer}: $t {Question: |}$q", t=text, q=question), answer)]
    if form == 1:
        return [(f"{question} {text}", answer)]
    if form == 2:
        return [(text, v.say("{I see.|Okay.|Good to know.} {What would you like to know?|Do you have a question about it?}")), (question, answer)]
    if form == 3:
        missing = v.pick([f"What does {name} do at night?", f"How old is {other}?", f"What is the name of {name}'s mother?", f"How tall is {name}?"])
        return [(f"{text} {missing}", "The text does not say that.")]
    return [(f"{text} {question}", answer)]


def summary(v: Voice) -> Turns:
    name, place, thing, mood = v.pick(facts.NAMES), v.pick(PLACES), v.pick(THINGS), v.pick(["happy", "sad", "proud", "tired", "angry"])
    colour, time = v.pick(facts.COLOURS), v.pick(TIMES)
    text, short = v.pick([
        (f"{upper_first(time)}, {name} went to {place}. {name} wanted to find the {colour} {thing}. After a long time {name} found it and was very {mood}.", f"{name} found the {colour} {thing} at {place}."),
        (f"{name} lost {a(thing)} at {place}. {name} looked everywhere but could not find it. {name} went home and was {mood}.", f"{name} lost {a(thing)} at {place}."),
        (f"{name} bought {a(colour)} {thing} {time}. It was not cheap, but {name} liked it a lot. Now {name} takes it everywhere.", f"{name} bought {a(colour)} {thing} and likes it a lot."),
        (f"{name} works at {place}. Every day {name} gets up early and goes there by bike. {name} likes the work.", f"{name} likes working at {place}."),
        (f"It rained all day. {name} stayed at home and read a book about {place.removeprefix('the ')}s. In the evening the sun came out.", f"{name} read a book at home on a rainy day."),
    ])
    return [(v.say("{Summarise this|Summarize this|Give me a short summary|Sum this up in one sentence|Make this shorter|What is this text about|Say this in one sentence|Shorten this text}{: |. Text: }$t", t=text), short)]


def extract(v: Voice) -> Turns:
    name, colour, place, food, number = v.pick(facts.NAMES), v.pick(facts.COLOURS), v.pick(facts.CATEGORIES["city"]), v.pick(facts.CATEGORIES["fruit"]), v.rng.randint(2, 20)
    text = v.pick([f"{name} went to {place} and bought {number} {colour} {facts.PLURALS.get(food, food + 's')}.", f"In {place}, {name} saw {number} {colour} birds.", f"{name} has {number} {colour} cups from {place}."])
    what, answer = v.pick([("name", name), ("colour", colour), ("city", place), ("number", str(number))])
    return [(v.say("{Find the $w in this sentence|Which $w is in this sentence|What is the $w in this text|Pick out the $w|Tell me the $w in this sentence}: $t", w=what, t=text), f"The {what} is {answer}.")]


USES_OF = {"sun": "The sun is warm and bright today.", "rain": "The rain fell softly on the roof.", "dog": "The dog runs happily through the park.", "cat": "The cat sleeps on the warm chair.", "tree": "A tall tree stands in the garden.",
           "book": "I read a good book before bed.", "friend": "My friend helps me when I am sad.", "school": "The children walk to school together.", "water": "She drinks a glass of cold water.", "house": "They live in a small house near the lake.",
           "bread": "The fresh bread smells wonderful.", "bird": "A little bird sings in the morning.", "river": "The river flows slowly to the sea.", "snow": "The snow covers the whole village.", "moon": "The moon shines over the quiet town.", "train": "The train arrives at noon.",
           "music": "We listen to music in the evening.", "flower": "He gave her a red flower.", "happy": "The children are happy because it is snowing.", "quick": "The quick fox runs over the hill.", "mother": "My mother makes the best soup.", "garden": "We grow tomatoes in our garden.",
           "door": "Please close the door when you leave.", "window": "The cat looks out of the window.", "apple": "I eat an apple every morning.", "teacher": "The teacher tells an interesting story.", "sea": "We swim in the sea in summer.", "winter": "In winter we drink hot chocolate.",
           "bike": "He rides his bike to work.", "letter": "She wrote a long letter to her aunt.", "shoes": "My new shoes are very comfortable.", "night": "The stars are bright at night.", "horse": "The horse eats fresh hay.", "cake": "We baked a cake for her birthday.", "wind": "The wind blows the leaves away."}


def write_sentence(v: Voice) -> Turns:
    word, text = v.entry(USES_OF)
    return [(v.say("{Write|Make|Give me|Form|Can you write|Say} {a sentence|one sentence|a short sentence|an example sentence} {with|with the word|using|using the word|about} {$w|\"$w\"}.", w=word), text)]


POEMS = {"the sun": "The sun comes up, the sky is blue,\nit brings a brand new day to you.", "rain": "The rain is falling, drip and drop,\nit dances on the roof on top.", "a cat": "A little cat sat on a mat,\nand on its head there was a hat.", "a dog": "My dog can run, my dog can play,\nhe wags his tail the whole long day.",
         "the moon": "The moon looks down with silver light,\nand wishes everyone good night.", "spring": "The birds all sing, the flowers grow,\nand gone is all the winter snow.", "winter": "The snow is white, the wind is cold,\nbut tea is warm and tales are told.", "friends": "A friend is there through thick and thin,\nso open up and let them in.",
         "the sea": "The sea is wide, the sea is deep,\nits waves will sing us all to sleep.", "a bird": "A bird sat high up in a tree,\nand sang a little song for me.", "autumn": "The leaves turn red, the leaves turn brown,\nand one by one they tumble down.", "the night": "The night is still, the stars are bright,\nso close your eyes and sleep, good night.",
         "a tree": "A tree stands tall in sun and rain,\nand greets the spring with leaves again.", "tea": "A cup of tea, so warm, so good,\nit makes me feel the way it should.", "summer": "The days are long, the sun is hot,\nwe eat ice cream and swim a lot.", "flowers": "The flowers bloom in red and blue,\nI picked the nicest one for you."}


def poem(v: Voice) -> Turns:
    about, text = v.entry(POEMS)
    return [(v.say("{Write|Tell me|Give me|Make|Can you write|Please write} {a|a short|a little|a small} {poem|rhyme|verse} about $x.", x=about), text)]


def little_story(v: Voice) -> Turns:
    name, pet, place, thing, colour = v.pick(facts.NAMES), v.pick(PETS), v.pick(PLACES), v.pick(THINGS), v.pick(facts.COLOURS)
    friend = v.pick([n for n in facts.NAMES if n != name])
    start = v.say("{Once upon a time there was|There once was|Once there was} a {little|small|young|clever|friendly|shy|brave} $p {named|called} $n.", p=pet, n=name)
    middle = v.say("{One day|One morning|One sunny day|One evening}, $n {found a $c $t in $l|lost a $c $t in $l|saw a $c $t near $l}. {$n|The $p} {did not know what to do|was very surprised|felt a little afraid}.", n=name, c=colour, t=thing, l=place, p=pet)
    end = v.say("{Then|Soon} $f came and {helped|had a good idea}. {They looked together and found a way.|Together they solved the problem.|They shared it and laughed.} {From that day on they were best friends.|In the evening they were happy and tired.|And they all lived happily ever after.}", f=friend)
    topic = v.pick([a(pet), f"{a(pet)} named {name}", f"{a(pet)} and {a(thing)}", name, place])
    return [(v.say("{Tell me|Write|Can you tell me|Please tell me|I want to hear|Make up|Write me} {a|a short|a little} story about $t.", t=topic), f"{start} {middle} {end}")]


ADVICE = [("{I cannot sleep|How can I sleep better|What helps me fall asleep|I have trouble sleeping}", "Go to bed at the same time each day, keep your room dark and put your phone away. A warm drink can help too."), ("{How can I learn English|How do I learn a language|What is a good way to learn words|I want to learn English}", "Learn a few words each day, read easy books and talk with people as often as you can."),
          ("{How do I make tea|How can I make a cup of tea|Explain how to make tea|Tell me how to make tea}", "Boil some water, pour it over the tea leaves and wait three minutes. Then add milk or sugar if you like."), ("{How do I make a sandwich|How can I make a sandwich|Tell me how to make a sandwich}", "Take two slices of bread. Put butter on them, add cheese and tomato, and close the sandwich."),
          ("{How do I make an omelette|How do I cook eggs|Tell me how to make an omelette}", "Beat two eggs with a little salt. Melt some butter in a pan, pour in the eggs and cook them for three minutes."), ("{How do I make pancakes|Tell me how to make pancakes|Give me a recipe for pancakes}", "Mix flour, eggs and milk. Pour a little into a hot pan, cook both sides and eat them with jam."),
          ("{How do I cook pasta|How do I make pasta|How long does pasta cook}", "Boil a lot of water with salt, add the pasta and cook it for about ten minutes. Then drain it and add a sauce."), ("{How do I cook rice|How do I make rice}", "Boil one cup of rice in two cups of water for about fifteen minutes with the lid on."),
          ("{How do I plant a flower|How do I plant a seed|How do I grow a plant}", "Put the seed in soil, give it water and place it in the light. Then wait and water it every few days."), ("{How do I wash my hands|What is the right way to wash my hands}", "Use warm water and soap, rub your hands for twenty seconds, rinse them and dry them well."),
          ("{How do I make friends|How can I find friends|I want new friends}", "Smile, say hello and ask people about themselves. It helps to join a club or a sports team."), ("{How can I be happy|What makes people happy|How can I feel better}", "Spend time with people you like, go outside, and do one small thing you enjoy every day."),
          ("{How can I stay healthy|How do I stay fit|What is healthy|How can I live a healthy life}", "Eat fruit and vegetables, drink water, sleep well and move every day."), ("{What should I eat for breakfast|What is a good breakfast|Give me an idea for breakfast}", "You could have bread with butter and jam, an egg, or yoghurt with fruit."),
          ("{What should I cook tonight|What can I eat for dinner|Give me an idea for dinner|What should I have for dinner}", "How about pasta with tomatoes, or a vegetable soup with fresh bread?"), ("{What can I do today|What should I do this weekend|Give me an idea for the weekend|What can I do when it rains}", "You could visit a museum, bake a cake, read a book or meet a friend."),
          ("{What can I give my mother for her birthday|I need an idea for a present|What is a good present|What gift can I give my friend}", "Flowers, a good book or a cake that you bake yourself are always nice."), ("{How do I clean a window|How do I clean my room|How can I keep my room tidy}", "Do a little every day. Put each thing back in its place, then wipe with warm water and some soap."),
          ("{How do I write a letter|How do I begin a letter|How do I start an email}", "Begin with Dear and the name, say why you are writing, and end with kind regards and your name."), ("{How do I save money|How can I save money}", "Write down what you spend, buy only what you need and put a little aside each month."),
          ("{Why is the sky blue|Why does the sky look blue}", "The air scatters blue light more than other colours, so the sky looks blue."), ("{Why does it rain|Where does rain come from|How does rain form}", "Water rises from the sea into the air, forms clouds, and falls down again as rain."), ("{Why do birds fly south|Why do some birds fly away in winter}", "In winter there is little food, so many birds fly to warmer places."),
          ("{Why do leaves fall in autumn|Why do trees lose their leaves}", "Trees drop their leaves in autumn to save water and energy for the winter."), ("{Why do we sleep|Why is sleep important|Why do people sleep}", "Sleep gives the body and the brain time to rest and grow strong again."), ("{Why do we need water|Why is water important}", "Our bodies are mostly water, so people, animals and plants cannot live without it."),
          ("{Why is the sea salty|Why is sea water salty}", "Rivers carry salt from the rocks to the sea, and the salt stays there."), ("{Why do we have day and night|Why is it dark at night}", "The Earth turns, so each place faces the sun by day and looks away from it at night."), ("{How do fish breathe|How can fish live in water}", "Fish breathe through gills, which take air out of the water."),
          ("{How do plants grow|What does a plant need|What do plants need to grow}", "Plants need light, water, air and soil to grow."), ("{How do bees make honey|Where does honey come from}", "Bees collect nectar from flowers and turn it into honey in the hive."), ("{Where does milk come from|Who gives us milk}", "Milk comes from cows."), ("{Where do eggs come from|Who lays eggs}", "Hens lay the eggs that we eat."), ("{Where does wool come from|What gives us wool}", "Wool comes from sheep."),
          ("{What should I wear in winter|What do you wear when it is cold}", "Wear a warm coat, a hat, a scarf and gloves."), ("{What should I wear in summer|What do you wear when it is hot}", "Wear light clothes, a hat and sunglasses."), ("{What should I take when it rains|It is raining, what should I take}", "Take an umbrella and wear a raincoat.")]


def advice(v: Voice) -> Turns:
    asked, answer = v.pick(ADVICE)
    question = v.say(asked)
    return [(question + ("?" if question.split()[0] in {"How", "What", "Why", "Where", "Who"} else "."), answer)]
