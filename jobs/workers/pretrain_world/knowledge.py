"""Questions about the facts of the small world, asked in many ways and answered in one sentence."""

from . import facts
from .wording import Turns, Voice, a, joined, the, upper_first


def animal_name(animal: str) -> str:
    return "person" if animal == "person" else animal


def capital(v: Voice) -> Turns:
    country, city = v.entry(facts.CAPITALS)
    if v.chance(0.3):
        return [(v.say("{$y is the capital of which country|Which country has $y as its capital|Of which country is $y the capital|What country is $y the capital of}?", y=city), f"{city} is the capital of {country}.")]
    if v.chance(0.15):
        other = v.pick(list(facts.CAPITALS.values()))
        ask = v.say("Is $o the capital of $c?", o=other, c=country)
        return [(ask, f"Yes, {city} is the capital of {country}." if other == city else f"No, the capital of {country} is {city}.")]
    return [(v.say("{What is the capital of $c|What's the capital of $c|Which city is the capital of $c|What is the capital city of $c|Tell me the capital of $c|Do you know the capital of $c|Name the capital of $c|The capital of $c|I need the capital of $c|Can you tell me the capital of $c}?", c=country), f"The capital of {country} is {city}.")]


def country(v: Voice) -> Turns:
    if v.chance(0.5):
        place, language = v.entry(facts.LANGUAGES)
        return [(v.say("{Which language do people speak in $c|What language is spoken in $c|What do people speak in $c|Which language is spoken in $c}?", c=place), f"People in {place} speak {language}.")]
    continent, places = v.entry(facts.CONTINENTS)
    place = v.pick(places)
    return [v.pick([(v.say("{Where is $c|In which continent is $c|On which continent is $c|Which continent is $c in}?", c=place), f"{upper_first(place)} is in {continent}."),
                    (v.say("{Name|Tell me|Give me} {a|one} country in $k.", k=continent), f"{upper_first(place)} is a country in {continent}.")])]


def animal(v: Voice) -> Turns:
    return [v.pick([animal_sound, animal_baby, animal_home, animal_food, animal_legs, animal_kind, animal_is])(v)]


def animal_sound(v):
    name, sound = v.entry(facts.SOUNDS)
    return v.pick([(v.say("{What sound does $x make|What does $x say|What noise does $x make|How does $x sound|Which sound does $x make|Make the sound of $x}?", x=a(name)), v.say("{$X says $s.|$X goes $s.}", X=upper_first(a(name)), s=sound)),
                   (v.say("Which animal {says|goes|makes the sound} $s?", s=sound), f"{upper_first(a(name))} says {sound}.")])


def animal_baby(v):
    name, baby = v.entry(facts.BABIES)
    if v.chance(0.25):
        return v.say("{What does $b grow into|What will $b become|$B grows up to be what}?", b=a(baby), B=upper_first(a(baby))), f"{upper_first(a(baby))} grows up to be {a(next(k for k, w in facts.BABIES.items() if w == baby))}."
    return v.say("{What is a baby $x called|What do you call a baby $x|What is the name for a young $x|What is a young $x called|Name a baby $x}?", x=name), f"A baby {name} is called {a(baby)}."


def animal_home(v):
    name, home = v.entry(facts.HOMES)
    return v.say("{Where does $x live|Where can you find $x|Where is the home of $x|What is the home of $x|Where would I find $x}?", x=a(name)), f"{upper_first(a(name))} lives {home}."


def animal_food(v):
    name, food = v.entry(facts.EATS)
    return v.say("{What does $x eat|What do you feed $x|What food does $x like|What does $x like to eat|What is the food of $x}?", x=a(name)), f"{upper_first(a(name))} eats {food}."


def animal_legs(v):
    name, legs = v.entry(facts.LEGS)
    count = facts.NUMBERS[int(legs)] if legs != "0" else "no"
    return v.say("{How many legs does $x have|How many legs has $x|What is the number of legs of $x|Count the legs of $x}?", x=a(name)), f"{upper_first(a(name))} has {count} legs."


def animal_kind(v):
    kind, names = v.entry(facts.ANIMAL_KINDS)
    name = v.pick(names)
    answer = f"{upper_first(a(name))} is {a(kind)}."
    if v.chance(0.4):
        other = v.pick(list(facts.ANIMAL_KINDS))
        return f"Is {a(name)} {a(other)}?", ("Yes, " if other == kind else "No, ") + f"{a(name)} is {a(kind)}."
    return v.say("{What kind of animal is $x|What type of animal is $x|Is $x a mammal, a bird, a fish, a reptile or an insect}?", x=a(name)), answer


def animal_is(v):
    name, text = v.entry(facts.KNOWN_FOR)
    return v.say("{What is $x|Tell me about $x|Describe $x|Can you describe $x|What do you know about $x|Explain what $x is|Tell me something about $x}?", x=a(name)), f"{upper_first(a(name))} is {text}."


def colour(v: Voice) -> Turns:
    if v.chance(0.25):
        two, result = v.entry(facts.MIXES)
        return [(v.say("{What do you get when you mix $m|What colour do you get if you mix $m|Which colour do $m make|What does mixing $m give|I mix $m paint. What do I get}?", m=two), f"When you mix {two}, you get {result}.")]
    thing, shade = v.entry(facts.COLOUR_OF)
    article = the(thing) if thing in {"sky on a clear day", "sun", "night sky", "sea"} else thing
    if article == thing and thing not in {"grass", "snow", "coal", "chocolate", "milk", "blood", "soil", "spinach", "coffee", "salt", "broccoli", "sand"}:
        article = a(thing)
    answer = f"{upper_first(article)} is {shade}."
    if v.chance(0.3):
        other = v.pick(list(facts.COLOUR_OF.values()))
        return [(f"Is {article} {other}?", f"Yes, {article} is {shade}." if other == shade else f"No, {article} is {shade}.")]
    if v.chance(0.25):
        return [(v.say("{Name something that is $s|What is $s|Tell me a thing that is $s|Can you name something $s}?", s=shade), answer)]
    return [(v.say("{What colour is $t|What color is $t|Which colour is $t|Which colour does $t have|Tell me the colour of $t|What is the colour of $t}?", t=article), answer)]


def word(v: Voice) -> Turns:
    return [v.pick([opposite, opposite, synonym, plural, plural, past, past, compared, rhyme])(v)]


def opposite(v):
    one, two = v.entry(facts.OPPOSITES)
    if v.chance(0.35) and two not in facts.OPPOSITES:
        one, two = two, one
    quoted = v.pick([one, one, f'"{one}"', f"'{one}'"])
    return v.say("{What is the opposite of $x|What's the opposite of $x|Opposite of $x|Tell me the opposite of $x|Give me the opposite of $x|The opposite of $x|Which word is the opposite of $x|What word means the opposite of $x|Do you know the opposite of $x|Name the opposite of $x|I need a word that is the opposite of $x}?", x=quoted), f"The opposite of {one} is {two}."


def synonym(v):
    one, two = v.entry(facts.SYNONYMS)
    return v.say("{What is another word for $x|Give me another word for $x|What is a synonym for $x|Give me a synonym of $x|Which word means the same as $x|What does $x mean|Tell me another word for $x}?", x=v.pick([one, f'"{one}"'])), f"Another word for {one} is {two}."


def plural(v):
    one, many = v.entry(facts.PLURALS)
    if v.chance(0.2):
        return v.say("{What is the singular of $x|Give me the singular of $x|What is the singular form of $x}?", x=many), f"The singular of {many} is {one}."
    return v.say("{What is the plural of $x|Give me the plural of $x|Plural of $x|What is the plural form of $x|Tell me the plural of $x|How do you say more than one $x|One $x, two|What do you call more than one $x}?", x=v.pick([one, one, f'"{one}"'])), f"The plural of {one} is {many}."


def past(v):
    now, then = v.entry(facts.PAST)
    return v.say("{What is the past tense of $x|Give me the past tense of $x|Past tense of $x|Tell me the past tense of $x|What is the past form of $x|Put $x into the past tense|What is the simple past of $x}?", x=v.pick([now, now, f'"{now}"', f"to {now}"])), f"The past tense of {now} is {then}."


def compared(v):
    base, more = v.entry(facts.COMPARED)
    return v.say("{What is the comparative of $x|Give me the comparative of $x|How do you say more $x|What is the comparative form of $x}?", x=base), f"The comparative of {base} is {more}."


def rhyme(v):
    word, others = v.entry(facts.RHYMES)
    return v.say("{What rhymes with $x|Give me a word that rhymes with $x|Name a word that rhymes with $x|Which word rhymes with $x|Tell me a rhyme for $x|Find a rhyme for $x}?", x=v.pick([word, f'"{word}"'])), f"{upper_first(v.pick(others))} rhymes with {word}."


def thing(v: Voice) -> Turns:
    return [v.pick([what_is, what_is, made_of, used_for, job, how_many, superlative, body, shape])(v)]


def what_is(v):
    name, text = v.entry(facts.WHAT_IS)
    return v.say("{What is $x|What's $x|Tell me what $x is|Can you explain what $x is|Explain what $x is|What is $x, in simple words|Do you know what $x is|Define $x|Please explain $x}?", x=name), f"{upper_first(name)} is {text}."


def made_of(v):
    name, stuff = v.entry(facts.MADE_OF)
    subject = name if name in {"bread", "cheese", "butter", "chocolate", "paper", "ice", "wine", "honey", "yoghurt", "lemonade", "tea", "soup"} else a(name)
    return v.say("{What is $x made of|What is $x made from|What do you need to make $x|From what is $x made|Tell me what $x is made of}?", x=subject), f"{upper_first(subject)} is made from {stuff}."


def used_for(v):
    name, use = v.entry(facts.USES)
    subject = name if name in {"scissors", "glasses", "soap"} else a(name)
    if v.chance(0.35):
        purpose = use.removeprefix("to ")
        return v.say("{What do I need to $p|What do you use to $p|What can I use to $p|Which thing do I need to $p}?", p=purpose), f"You can use {subject} {use}."
    return v.say("{What is $x for|What do you use $x for|What can you do with $x|Why do people use $x|What do people do with $x}?".replace("What is", "What are" if name in {"scissors", "glasses"} else "What is"), x=subject), f"You use {subject} {use}."


def job(v):
    name, does = v.entry(facts.JOBS)
    if v.chance(0.35):
        return v.say("{Who $d|Which person $d|What do you call someone who $d}?", d=does), f"{upper_first(a(name))} {does}."
    return v.say("{What does $x do|What is the job of $x|What is $x|Tell me what $x does|Describe the work of $x|What is the work of $x}?", x=a(name)), f"{upper_first(a(name))} {does}."


def how_many(v):
    question, answer = v.entry(facts.HOW_MANY)
    return v.say("{How many $q|Can you tell me how many $q|Quick question: how many $q|Please tell me: how many $q}?", q=question), answer


def superlative(v):
    name, answer = v.entry(facts.SUPERLATIVES)
    return v.say("{What is the $x|Which is the $x|What's the $x|Tell me the $x|Name the $x|Do you know the $x}?", x=name), f"The {name} is {answer}."


def body(v):
    part, use = v.entry(facts.BODY)
    return v.say("{What do we do with our $p|What do you use your $p for|What can we do with our $p}?", p=part), f"We use our {part} to {use}."


def shape(v):
    name, sides = v.entry(facts.SHAPES)
    return v.say("{How many sides does $x have|How many corners does $x have|How many sides has $x}?", x=a(name)), f"{upper_first(a(name))} has {facts.NUMBERS[int(sides)]} sides{' and ' + facts.NUMBERS[int(sides)] + ' corners' if v.chance(0.3) else ''}."


def calendar(v: Voice) -> Turns:
    which = v.rng.randrange(8)
    day, month = v.rng.randrange(7), v.rng.randrange(12)
    days, months, seasons = facts.DAYS, facts.MONTHS, facts.SEASONS
    if which == 0:
        return [(v.say("{What day comes after $d|Which day is after $d|What is the day after $d|If today is $d, what day is tomorrow|Today is $d. What day is it tomorrow|Which day follows $d}?", d=days[day]), f"{days[(day + 1) % 7]} comes after {days[day]}.")]
    if which == 1:
        return [(v.say("{What day comes before $d|Which day is before $d|What is the day before $d|If today is $d, what day was yesterday|Today is $d. What day was yesterday}?", d=days[day]), f"{days[day - 1]} comes before {days[day]}.")]
    if which == 2:
        return [(v.say("{What month comes after $m|Which month is after $m|What is the month after $m|Which month follows $m|What is the next month after $m}?", m=months[month]), f"{months[(month + 1) % 12]} comes after {months[month]}.")]
    if which == 3:
        return [(v.say("{What month comes before $m|Which month is before $m|What is the month before $m}?", m=months[month]), f"{months[month - 1]} comes before {months[month]}.")]
    if which == 4:
        season = v.rng.randrange(4)
        return [(v.say("{Which season comes after $s|What season is after $s|What comes after $s}?", s=seasons[season]), f"{upper_first(seasons[(season + 1) % 4])} comes after {seasons[season]}.")]
    if which == 5:
        return [(v.say("{What is the|Which is the|Name the} $n {month|month of the year}{| called}?", n=facts.ORDINALS[month]), f"The {facts.ORDINALS[month]} month of the year is {months[month]}.")]
    if which == 6:
        return [(v.say("{What is the $n day of the week|Name the $n day of the week|Which is the $n day of the week}?", n=facts.ORDINALS[day]), f"The {facts.ORDINALS[day]} day of the week is {days[day]}.")]
    return [(v.say("{List|Name|Tell me|Give me|What are|Can you list|Say} {the days of the week|all the days of the week|the seven days of the week}."), joined(days) + ".")] if v.chance(0.4) else v.pick([
        [(v.say("{List|Name|Tell me|Give me|What are|Can you list|Say} {the|all the} months{| of the year}."), joined(months) + ".")],
        [(v.say("{List|Name|Tell me|Give me|What are|Can you list} the {|four }seasons{| of the year}."), "The four seasons are spring, summer, autumn and winter.")]])


def kind(v: Voice) -> Turns:
    """What belongs to what."""
    name, members = v.entry(facts.CATEGORIES)
    one = v.pick(members)
    called = one if name in {"drink", "sport", "country", "city", "colour", "metal", "school subject", "feeling", "meal", "kind of weather", "planet"} else a(one)
    which = v.rng.randrange(3)
    if which == 0:
        return [(v.say("{Name|Tell me|Give me|Can you name|Say|Think of|I need} {$k|an example of $k|one example of $k}.", k=a(name)), v.say("{$X is $k.|$X is one example.|One example is $x.}", X=upper_first(called), x=called, k=a(name)))]
    other = v.pick([k for k in facts.CATEGORIES if one not in facts.CATEGORIES[k]])
    if which == 1:
        return yes_no(v, called, name, other)
    return [(v.say("{What is $x|What kind of thing is $x|Is $x $k or $o|Is $x $o or $k|Which group does $x belong to|Is $x $k, or is it $o}?", x=called, k=a(name), o=a(other)), f"{upper_first(called)} is {a(name)}.")]


def yes_no(v, called, name, other):
    asked = v.pick([name, other])
    ask = v.say("{Is $x $o|Would you say that $x is $o|Is it true that $x is $o|Can you call $x $o}?", x=called, o=a(asked))
    return [(ask, f"Yes, {called} is {a(name)}." if asked == name else f"No, {called} is {a(name)}.")]
