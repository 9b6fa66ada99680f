"""Everyday sense: what is bigger, what can fly, where to buy bread, when to have breakfast, and a few words on anything."""

from . import facts
from .facts import groups, table
from .wording import Turns, Voice, a, upper_first

CAN = groups("""
fly: bird, bee, butterfly, owl, eagle, bat, plane, fly, duck, moth, dove, crow, helicopter, kite, robin
swim: fish, duck, frog, whale, shark, dolphin, penguin, swan, turtle, salmon, crocodile
bark: dog; climb trees: cat, monkey, squirrel, koala; sing: bird, robin, singer; jump: frog, kangaroo, rabbit, horse, cricket
read: teacher, writer, child; talk: person, child, teacher; lay eggs: hen, duck, turtle, snake, bird, frog; run fast: horse, dog, rabbit, deer, cheetah
give milk: cow, goat; cook: chef, cook, person; make honey: bee; sail: boat, ship; bite: dog, snake, shark, wolf; sting: bee""")
CANNOT = groups("""
fly: dog, cow, horse, pig, elephant, fish, car, stone, tree, penguin, snake, table, house, lion, bus
swim: stone, car, hen, house, tree, chair; bark: cat, fish, cow, bird, tree; climb trees: fish, cow, whale, horse, pig; sing: stone, fish, table, tree
jump: snail, tree, stone, whale, house; read: cat, fish, tree, cow, stone; talk: tree, table, stone, cup, fish; lay eggs: dog, cat, cow, horse, sheep
run fast: snail, turtle, tree, worm; give milk: hen, fish, snake, owl; cook: cat, tree, fish; make honey: cow, hen, fish; sail: car, train; bite: chair, tree, flower; sting: cow, duck""")
LIKE_THIS = groups("""
cold: ice, snow, ice cream, winter; hot: fire, an oven, the sun, fresh tea, the desert; wet: rain, water, the sea; heavy: a stone, an elephant, a truck, a piano
light: a feather, a leaf, paper, a butterfly; soft: a pillow, wool, a kitten, butter; hard: a stone, iron, a nut, a brick; sweet: sugar, honey, chocolate, cake, candy
sour: a lemon, vinegar; sharp: a knife, a needle, a saw; round: a ball, an orange, a coin, a wheel; loud: thunder, a drum, a fire alarm; quiet: a library, a mouse, the night
fast: a plane, a cheetah, a racing car; slow: a snail, a turtle; tall: a giraffe, a tower, a tall tree; small: an ant, a pea, a mouse; big: a whale, an elephant, a house, the sea
dangerous: fire, a crocodile, a shark; expensive: gold, a house, a car; dry: the desert, sand; green: grass, a frog; bright: the sun, a lamp; salty: the sea, salt; useful: a map, a phone, a key""")
SIZE = ["a pea", "an ant", "a bee", "a mouse", "an apple", "a bird", "a cat", "a dog", "a sheep", "a lion", "a horse", "a car", "an elephant", "a bus", "a whale", "a house", "a mountain"]
SPEED = ["a snail", "a turtle", "a person", "a bicycle", "a horse", "a car", "a train", "a plane", "a rocket"]
SHOPS = table("""
bread: at a bakery; meat: at a butcher's shop; books: at a bookshop; medicine: at a pharmacy; fruit: at a market; flowers: at a flower shop; shoes: at a shoe shop; stamps: at the post office; milk: at a supermarket
cakes: at a bakery; vegetables: at a market; tickets: at the station; toys: at a toy shop; clothes: at a clothes shop; newspapers: at a kiosk; fish: at the market; glasses: at an optician's; furniture: at a furniture shop""")
WHERE = table("""
learn to read: at school; borrow a book: at a library; see a doctor: at a hospital or a doctor's office; swim: in a pool, a lake or the sea; catch a train: at the station; post a letter: at the post office; watch a film: at the cinema; see lions: at a zoo
keep milk: in the fridge; sleep: in a bed; cook: in the kitchen; wash: in the bathroom; park a car: in a garage or a car park; get on a plane: at an airport; grow vegetables: in the garden; keep money: in a bank; see a play: at the theatre; buy food: at a supermarket""")
WHEN = table("""
do people eat breakfast: in the morning; do people eat dinner: in the evening; do people eat lunch: in the middle of the day; does it snow: in winter; do leaves fall: in autumn; do flowers start to grow: in spring; is it hot: in summer; do people sleep: at night
does the sun rise: in the morning; does the sun set: in the evening; do we see the stars: at night; is Christmas: on the 25th of December; is New Year's Day: on the 1st of January; do people say good morning: in the morning; do people say good night: before they go to bed; do children go to school: in the morning
do you need an umbrella: when it rains; do you wear a warm coat: in winter; do you say thank you: when someone helps you; do you say sorry: when you have made a mistake; do people celebrate a birthday: once a year; is the weekend: on Saturday and Sunday; is Halloween: on the 31st of October""")
FAMILY = table("""
your mother's mother: your grandmother; your father's father: your grandfather; your mother's sister: your aunt; your father's brother: your uncle; your uncle's son: your cousin; your brother's daughter: your niece; your sister's son: your nephew; your mother's father: your grandfather
your father's mother: your grandmother; the son of your parents: your brother; the daughter of your parents: your sister; your husband's mother: your mother-in-law; your aunt's daughter: your cousin; your father's sister: your aunt""")
PLACES = table("""
Paris: It is known for the Eiffel Tower and good food; London: It is known for Big Ben and red buses; Rome: It is known for very old buildings and good ice cream; Tokyo: It is one of the largest cities in the world; Berlin: It has many museums and parks; Madrid: It is a warm and lively city
Cairo: It lies on the river Nile, near the pyramids; Vienna: It is known for music and cake; Athens: It is a very old city with famous temples; Oslo: It lies by the sea and has snowy winters; Lisbon: It is a bright city on hills near the sea; Moscow: It is a large city with cold winters; Ottawa: It has cold winters and many parks""")
ABOUT = table("""
dogs: Dogs are friendly and loyal animals. Many people keep them as pets and take them for walks every day.;
cats: Cats are quiet and clean animals. They like to sleep in warm places and to hunt mice.;
horses: Horses are large and strong animals. People ride them, and they love to run and eat grass.;
birds: Birds have wings and feathers. Most of them can fly, and they build nests for their eggs.;
fish: Fish live in water and breathe through gills. Some are tiny, and some are very large.;
trees: Trees are tall plants with a trunk, branches and leaves. They give us shade, fruit and fresh air.;
flowers: Flowers are the colourful part of many plants. Bees visit them to collect nectar.;
the sea: The sea is very large and its water is salty. Fish, whales and many other animals live in it.;
summer: Summer is the warmest season. The days are long, and many people go swimming or travel.;
winter: Winter is the coldest season. The days are short, and in many places it snows.;
spring: In spring it gets warmer. Flowers begin to grow, and the birds sing again.;
autumn: In autumn the leaves turn red and brown. It gets colder, and people harvest apples and pumpkins.;
football: Football is played by two teams of eleven players. They try to kick the ball into the goal.;
tennis: Tennis is played by two or four people. They hit a small ball over a net.;
music: Music can make us happy or calm. People sing or play instruments such as the piano or the guitar.;
books: Books tell stories or explain things. You can read them at home or borrow them from a library.;
school: School is a place where children learn to read, write and count. They also meet their friends there.;
tea: Tea is a hot drink made from leaves. Many people drink it with milk, lemon or sugar.;
coffee: Coffee is a dark, hot drink made from beans. Many people drink it in the morning to wake up.;
chocolate: Chocolate is sweet and made from cocoa beans. People all over the world love it.;
pizza: Pizza is a flat bread with tomato sauce and cheese on top. It comes from Italy.;
bread: Bread is made from flour, water and yeast. It is baked in an oven and tastes best when it is fresh.;
apples: Apples are round fruits that grow on trees. They can be red, green or yellow.;
water: Water is clear and has no taste. People, animals and plants need it to live.;
the sun: The sun is a star. It gives us light and warmth, and the Earth goes around it once a year.;
the moon: The moon goes around the Earth. At night it shines because it reflects the light of the sun.;
the Earth: The Earth is the planet on which we live. It is round, and most of it is covered with water.;
rain: Rain is water that falls from the clouds. Plants need it to grow.;
snow: Snow is frozen water. It is white and cold, and children love to build snowmen with it.;
friends: Friends are people you like and trust. They listen to you, help you and laugh with you.;
family: A family is a group of people who belong together. They look after each other.;
sleep: Sleep gives the body and the brain time to rest. Most people need about eight hours.;
computers: Computers are machines that store and work with information. People use them to write, play and learn.;
cars: Cars have four wheels and an engine. People use them to travel from place to place.;
trains: Trains run on rails and carry many people. They stop at stations.;
bicycles: A bicycle has two wheels and two pedals. Riding one is healthy and fun.;
planes: Planes fly high in the sky. They can take people to places far away.;
gardens: In a garden people grow flowers and vegetables. It is a nice place to rest.;
cooking: Cooking means making food, often with heat. It is fun to do it with friends.;
colours: There are many colours. Red, yellow and blue can be mixed to make others.;
numbers: Numbers help us to count and measure things. The first ones are one, two and three.;
holidays: Holidays are a time to rest. Many people travel, visit their family or go to the beach.;
birthdays: On a birthday people celebrate the day they were born. There is often a cake with candles.;
Christmas: Christmas is on the 25th of December. People meet their family, sing songs and give presents.;
the weather: The weather changes from day to day. It can be sunny, rainy, windy or snowy.;
mountains: Mountains are very high. Some have snow on top, even in summer.;
rivers: Rivers carry water from the hills to the sea. Many towns lie on a river.;
farms: On a farm people grow food and keep animals such as cows, pigs and hens.;
honey: Honey is sweet and golden. Bees make it from the nectar of flowers.;
milk: Milk is a white drink that comes from cows. Cheese and butter are made from it.;
money: People use money to buy things. There are coins and paper notes.;
elephants: Elephants are the biggest land animals. They have a long trunk and big ears.;
lions: Lions are big wild cats. They live in groups and hunt together.""")


def yes_no(v: Voice) -> Turns:
    deed = v.pick(list(CAN))
    able = v.chance(0.5)
    thing = v.pick((CAN if able else CANNOT)[deed])
    subject = thing if thing == "fish" and v.chance(0.3) else a(thing)
    return [(v.say("{Can $x $d|Is $x able to $d|Do you think $x can $d|Tell me, can $x $d}?", x=subject, d=deed), f"Yes, {subject} can {deed}." if able else f"No, {subject} cannot {deed}.")]


def who_can(v: Voice) -> Turns:
    deed, things = v.entry(CAN)
    return [(v.say("{What can $d|Name something that can $d|Which animal or thing can $d|Tell me something that can $d|Who can $d}?", d=deed), f"{upper_first(a(v.pick(things)))} can {deed}.")]


def property_of(v: Voice) -> Turns:
    quality, things = v.entry(LIKE_THIS)
    thing = v.pick(things)
    opposite = facts.OPPOSITES.get(quality)
    which = v.rng.randrange(4)
    if which == 0:
        return [(v.say("{Name something $q|Name something that is $q|What is $q|Tell me something $q|Give me an example of something $q|Can you think of something $q}.", q=quality), f"{upper_first(thing)} is {quality}.")]
    if which == 1 and opposite:
        two = v.some([quality, opposite], 2)
        return [(v.say("{Is $x $p or $q|What is $x, $p or $q|Would you say $x is $p or $q}?", x=thing, p=two[0], q=two[1]), f"{upper_first(thing)} is {quality}.")]
    if which == 2 and opposite:
        return [(f"Is {thing} {opposite}?", f"No, {thing} is {quality}.")]
    return [(v.say("{Is $x $q|Is it true that $x is $q|Would you call $x $q}?", x=thing, q=quality), f"Yes, {thing} is {quality}.")]


def comparing(v: Voice) -> Turns:
    scale, more, less = v.pick([(SIZE, "bigger", "smaller"), (SIZE, "bigger", "smaller"), (SPEED, "faster", "slower")])
    low, high = sorted(v.some(range(len(scale)), 2))
    one, two = v.some([scale[low], scale[high]], 2)
    if v.chance(0.3):
        return [(v.say("Is $x $m than $y?", x=one, y=two, m=more), f"{'Yes' if one == scale[high] else 'No'}, {scale[high]} is {more} than {scale[low]}.")]
    if v.chance(0.35):
        return [(v.say("{What is $l, $x or $y|Which is $l, $x or $y|Which one is $l: $x or $y}?", l=less, x=one, y=two), f"{upper_first(scale[low])} is {less} than {scale[high]}.")]
    return [(v.say("{What is $m, $x or $y|Which is $m, $x or $y|Which one is $m: $x or $y}?", m=more, x=one, y=two), f"{upper_first(scale[high])} is {more} than {scale[low]}.")]


def difference(v: Voice) -> Turns:
    kinds = [(name, kind) for kind, names in facts.ANIMAL_KINDS.items() for name in names]
    (one, first), (two, second) = v.some(kinds, 2)
    if first == second:
        return [(v.say("{What do $x and $y have in common|How are $x and $y alike}?", x=a(one), y=a(two)), f"They are both {'fish' if first == 'fish' else first + 's'}.")]
    return [(v.say("{What is the difference between $x and $y|How is $x different from $y|Compare $x and $y}?", x=a(one), y=a(two)), f"{upper_first(a(one))} is {a(first)}, and {a(two)} is {a(second)}.")]


def where(v: Voice) -> Turns:
    if v.chance(0.5):
        thing, shop = v.entry(SHOPS)
        return [(v.say("{Where can I buy $x|Where do you buy $x|Where do I get $x|I need $x. Where can I buy it|Where do people buy $x|Where can I find $x}?", x=thing), f"You can buy {thing} {shop}.")]
    deed, place = v.entry(WHERE)
    return [(v.say("{Where can I $d|Where do people $d|Where do you $d|What is a good place to $d|Where should I $d}?", d=deed), f"You can {deed} {place}.")]


def when(v: Voice) -> Turns:
    event, time = v.entry(WHEN)
    return [(v.say("{When $e|Quick question: when $e|Please tell me: when $e}?", e=event), f"{upper_first(time)}.")]


def family(v: Voice) -> Turns:
    who, name = v.entry(FAMILY)
    return [(v.say("{Who is $w|What do you call $w|What is $w called|What is the word for $w}?", w=who), f"{upper_first(who)} is {name}.")]


def about(v: Voice) -> Turns:
    """A few words on anything, and more on request."""
    if v.chance(0.25):
        city, known = v.entry(PLACES)
        land = next(country for country, capital in facts.CAPITALS.items() if capital == city)
        text = f"{city} is the capital of {land}. {known}."
        topic = city
    else:
        topic, text = v.entry(ABOUT)
    asked = v.say("{Tell me about $t|Tell me something about $t|What do you know about $t|Write a few sentences about $t|Can you tell me about $t|Let's talk about $t|I want to know more about $t|Write about $t|Explain $t to me|Say something about $t|Do you know anything about $t|Talk about $t}{.|.|?}", t=topic)
    if "Let's talk" in asked:
        return [(asked, v.say("{Sure!|Good idea!|With pleasure!} ") + " " + text + v.pick([" What do you like about it?", " What would you like to know?", ""]))]
    return [(asked, text)]


LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


def letters(v: Voice) -> Turns:
    at = v.rng.randrange(1, 25)
    which = v.rng.randrange(4)
    if which == 0:
        return [(v.say("{What letter comes after $l|Which letter comes after $l|Which letter follows $l}?", l=LETTERS[at]), f"{LETTERS[at + 1]} comes after {LETTERS[at]}.")]
    if which == 1:
        return [(v.say("{What letter comes before $l|Which letter comes before $l}?", l=LETTERS[at]), f"{LETTERS[at - 1]} comes before {LETTERS[at]}.")]
    if which == 2:
        vowel = LETTERS[at] in "AEIOU"
        return [(v.say("{Is $l a vowel|Is the letter $l a vowel|Is $l a vowel or a consonant}?", l=LETTERS[at]), f"{LETTERS[at]} is a {'vowel' if vowel else 'consonant'}.")]
    return v.pick([[(v.say("{Say the alphabet|What is the alphabet|Recite the alphabet|Write the alphabet}."), ", ".join(LETTERS) + ".")], [(v.say("{What are the vowels|Name the vowels|List the vowels|Which letters are vowels}?"), "The vowels are A, E, I, O and U.")]])


def choose(v: Voice) -> Turns:
    """Pick something at random, or between things."""
    low, high = 1, v.pick([6, 10, 10, 20, 100])
    one, two = v.some(v.pick([facts.CATEGORIES["fruit"], facts.CATEGORIES["drink"], facts.CATEGORIES["sport"], facts.CATEGORIES["meal"]]), 2)
    return [v.pick([
        (v.say("{Pick|Choose|Give me|Tell me|Think of|Say} {a|any} number {between $l and $h|from $l to $h}.", l=low, h=high), f"{v.rng.randint(low, high)}."),
        (v.say("{Pick|Choose|Name|Give me|Tell me} {a|any} {colour|random colour}."), f"{upper_first(v.pick(facts.COLOURS))}."),
        (v.say("{Flip|Toss} a coin{| for me}."), v.pick(["Heads!", "Tails!"])),
        (v.say("Roll {a die|a dice|the dice}{| for me}."), f"{v.rng.randint(1, 6)}!"),
        (v.say("{Should I take|Help me choose:|Shall I have|I cannot decide:} $x or $y?", x=one, y=two), v.say("I would {take|choose} the $x today.", x=v.pick([one, two]))),
        (v.say("{Pick|Choose|Give me|Suggest|Tell me} {a|one} {name|first name}{| for my cat| for a character}."), f"How about {v.pick(facts.NAMES)}?"),
    ])]
