"""Everything the built-in model knows about its small world, as plain tables."""


def table(text: str) -> dict[str, str]:
    """Lines of `key: value; key: value` as a dictionary."""
    pairs = (pair.split(":", 1) for line in text.strip().splitlines() for pair in line.split(";") if pair.strip())
    return {key.strip(): value.strip() for key, value in pairs}


def groups(text: str) -> dict[str, list[str]]:
    """Lines of `key: a, b, c` as a dictionary of lists."""
    return {key: [word.strip() for word in words.split(",")] for key, words in table(text).items()}


NAMES = ["Anna", "Ben", "Clara", "Daniel", "Emma", "Felix", "Grace", "Henry", "Isla", "Jack", "Karen", "Leo", "Maria", "Nina", "Oscar", "Paul", "Rosa", "Sam", "Tina", "Victor", "Wendy", "Adam", "Bella", "Carlos", "Diana", "Eric", "Fiona", "George", "Hannah", "Ivan", "Julia", "Kevin", "Laura", "Mark", "Nora", "Oliver", "Peter", "Rachel", "Simon", "Tom", "Uma", "Vera", "Alice", "Bob", "Chen", "David", "Elena", "Frank", "Gina", "Hugo", "Ines", "James", "Kate", "Lily", "Max", "Mia", "Noah", "Omar", "Priya", "Ravi", "Sara", "Theo", "Lucy", "Yuki", "Zoe", "Amir", "Aisha", "Ruth", "Martin", "Sophie", "Lucas", "Jane", "John", "Mary", "Robert", "Linda", "Michael", "Susan", "Ali", "Fatima", "Mei", "Hassan", "Olga", "Pedro", "Ana", "Luis"]
COLOURS = ["red", "blue", "green", "yellow", "orange", "purple", "pink", "brown", "black", "white", "grey", "gold", "silver", "turquoise"]
DAYS = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]
MONTHS = ["January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December"]
SEASONS = ["spring", "summer", "autumn", "winter"]
NUMBERS = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen", "twenty"]
ORDINALS = ["first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth", "eleventh", "twelfth"]

CAPITALS = table("""
France: Paris; Germany: Berlin; Italy: Rome; Spain: Madrid; Portugal: Lisbon; England: London; Ireland: Dublin
Scotland: Edinburgh; Wales: Cardiff; Norway: Oslo; Sweden: Stockholm; Finland: Helsinki; Denmark: Copenhagen
Iceland: Reykjavik; Poland: Warsaw; Austria: Vienna; Hungary: Budapest; Greece: Athens; Turkey: Ankara; Russia: Moscow
Ukraine: Kyiv; Belgium: Brussels; the Netherlands: Amsterdam; Switzerland: Bern; the Czech Republic: Prague
Romania: Bucharest; Bulgaria: Sofia; Croatia: Zagreb; Serbia: Belgrade; Egypt: Cairo; Morocco: Rabat; Kenya: Nairobi
Nigeria: Abuja; Ghana: Accra; Ethiopia: Addis Ababa; Japan: Tokyo; China: Beijing; India: New Delhi; Thailand: Bangkok
South Korea: Seoul; Vietnam: Hanoi; Indonesia: Jakarta; Nepal: Kathmandu; Iran: Tehran; Iraq: Baghdad; Canada: Ottawa
the United States: Washington, D.C.
Mexico: Mexico City; Cuba: Havana; Brazil: Brasilia; Argentina: Buenos Aires; Chile: Santiago; Peru: Lima
Colombia: Bogota; Australia: Canberra; New Zealand: Wellington""")
LANGUAGES = table("""
France: French; Germany: German; Italy: Italian; Spain: Spanish; Portugal: Portuguese; England: English; Norway: Norwegian
Sweden: Swedish; Finland: Finnish; Denmark: Danish; Poland: Polish; Austria: German; Hungary: Hungarian; Greece: Greek
Turkey: Turkish; Russia: Russian; Ukraine: Ukrainian; Egypt: Arabic; Japan: Japanese; China: Chinese; Vietnam: Vietnamese
Mexico: Spanish; Brazil: Portuguese; Argentina: Spanish; Cuba: Spanish; Australia: English; New Zealand: English""")
CONTINENTS = groups("""
Europe: France, Germany, Italy, Spain, Portugal, England, Ireland, Norway, Sweden, Finland, Denmark, Poland, Austria, Greece, Hungary
Asia: Japan, China, India, Thailand, South Korea, Vietnam, Nepal, Indonesia, Iran, Iraq
Africa: Egypt, Morocco, Kenya, Nigeria, Ghana, Ethiopia
North America: Canada, Mexico, Cuba, the United States
South America: Brazil, Argentina, Chile, Peru, Colombia""")

SOUNDS = table("""
dog: woof; cat: meow; cow: moo; sheep: baa; pig: oink; duck: quack; horse: neigh; lion: roar; bee: buzz; snake: hiss
mouse: squeak; hen: cluck; rooster: cock-a-doodle-doo; owl: hoot; frog: croak; wolf: howl; bird: tweet; donkey: hee-haw
crow: caw; goat: meh; goose: honk; turkey: gobble; bear: growl; dove: coo; monkey: ooh-ooh; cricket: chirp""")
BABIES = table("""
dog: puppy; cat: kitten; cow: calf; sheep: lamb; pig: piglet; duck: duckling; horse: foal; lion: cub; hen: chick; frog: tadpole
goat: kid; bear: cub; goose: gosling; deer: fawn; kangaroo: joey; owl: owlet; rabbit: bunny; swan: cygnet; fox: cub; elephant: calf
butterfly: caterpillar; wolf: pup; eagle: eaglet""")
HOMES = table("""
bird: in a nest; bee: in a hive; fish: in water; rabbit: in a burrow; spider: in a web; horse: in a stable; dog: in a kennel
bear: in a den; lion: on the grasslands; camel: in the desert; penguin: in the cold south; polar bear: in the cold north
monkey: in the trees of the jungle; whale: in the sea; shark: in the sea; cow: on a farm; pig: on a farm; hen: in a hen house
ant: in an ant hill; owl: in the woods; fox: in a den; frog: near ponds; duck: near ponds and lakes; mole: under the ground
bat: in dark caves; kangaroo: in Australia; tiger: in the jungle; crab: on the beach and in the sea; squirrel: in the trees
elephant: on the grasslands of Africa; wolf: in the forest; deer: in the forest; dolphin: in the sea; snail: in its shell""")
EATS = table("""
cow: grass; sheep: grass; horse: grass and hay; rabbit: grass and carrots; lion: meat; tiger: meat; cat: fish and meat; dog: meat and dog food
monkey: bananas and other fruit; mouse: seeds and cheese; squirrel: nuts; bear: fish, berries and honey; panda: bamboo
bird: seeds and worms; frog: flies; spider: flies; bee: nectar from flowers; elephant: leaves and grass; giraffe: leaves
shark: fish; penguin: fish; owl: mice; fox: small animals and berries; goat: grass and leaves; pig: almost everything; hen: corn and seeds
koala: leaves; whale: tiny sea animals; snake: mice; wolf: meat; duck: plants and small water animals; caterpillar: leaves""")
LEGS = table("""
dog: 4; cat: 4; cow: 4; horse: 4; sheep: 4; lion: 4; mouse: 4; elephant: 4; frog: 4; bird: 2; duck: 2; hen: 2; person: 2
penguin: 2; owl: 2; ant: 6; bee: 6; fly: 6; butterfly: 6; beetle: 6; spider: 8; octopus: 8; snake: 0; fish: 0; worm: 0; crab: 10; snail: 0
rabbit: 4; fox: 4; pig: 4; goat: 4; bear: 4; tiger: 4; wolf: 4; giraffe: 4; ladybird: 6""")
ANIMAL_KINDS = groups("""
mammal: dog, cat, cow, horse, sheep, lion, mouse, elephant, whale, bat, dolphin, bear, fox, rabbit, monkey, tiger, pig, goat, wolf, giraffe
bird: owl, eagle, duck, hen, penguin, swan, crow, dove, goose, parrot, robin, ostrich
insect: ant, bee, fly, butterfly, beetle, moth, ladybird, cricket
reptile: snake, lizard, turtle, crocodile
fish: shark, salmon, tuna, goldfish, trout""")
KNOWN_FOR = table("""
elephant: a big grey animal with a long trunk; giraffe: a very tall animal with a long neck; zebra: an animal like a horse with black and white stripes
lion: a big wild cat, and the male has a mane; penguin: a bird that cannot fly but swims very well; camel: a desert animal with a hump
owl: a bird that hunts at night; kangaroo: an animal from Australia that hops and carries its baby in a pouch; whale: the biggest animal in the sea
bee: a small insect that makes honey; spider: a small animal with eight legs that makes webs; snail: a slow little animal that carries a shell
cat: a small furry animal that many people keep as a pet; dog: a friendly animal that many people keep as a pet; cow: a farm animal that gives milk
sheep: a farm animal that gives wool; hen: a farm bird that lays eggs; horse: a large animal that people can ride; frog: a small green animal that jumps and lives near water
turtle: a slow animal with a hard shell; parrot: a colourful bird that can copy words; bat: a small animal that flies at night
dolphin: a clever animal that lives in the sea; butterfly: an insect with large colourful wings; ant: a tiny insect that works hard and lives in large groups
tiger: a big wild cat with black stripes; wolf: a wild animal that looks like a large dog; panda: a black and white bear that eats bamboo
rabbit: a small animal with long ears; squirrel: a small animal with a bushy tail that collects nuts; shark: a large fish with many sharp teeth""")

COLOUR_OF = table("""
sky on a clear day: blue; grass: green; snow: white; coal: black; banana: yellow; lemon: yellow; tomato: red; strawberry: red
carrot: orange; orange: orange; pumpkin: orange; leaf in summer: green; chocolate: brown; milk: white; blood: red; sun: yellow; night sky: black
frog: green; elephant: grey; flamingo: pink; crow: black; swan: white; fire engine: red; cucumber: green; lime: green; cherry: red; plum: purple
aubergine: purple; soil: brown; cloud: white; rain cloud: grey; ruby: red; emerald: green; mouse: grey; pea: green; tree trunk: brown; sea: blue
polar bear: white; spinach: green; sunflower: yellow; coffee: brown; salt: white; broccoli: green; raspberry: red; blueberry: blue; sand: yellow""")
MIXES = table("""
red and blue: purple; blue and yellow: green; red and yellow: orange; red and white: pink; black and white: grey; red and green: brown
yellow and blue: green; blue and red: purple; yellow and red: orange; white and red: pink; white and black: grey; green and red: brown""")
SHAPES = table("triangle: 3; square: 4; rectangle: 4; pentagon: 5; hexagon: 6; octagon: 8")

OPPOSITES = table("""
hot: cold; big: small; tall: short; fast: slow; happy: sad; light: dark; day: night; up: down; old: young; good: bad; hard: soft
wet: dry; full: empty; open: closed; loud: quiet; early: late; rich: poor; strong: weak; thick: thin; clean: dirty; high: low; long: short
near: far; heavy: light; right: wrong; left: right; first: last; true: false; black: white; inside: outside; over: under; front: back
begin: end; push: pull; win: lose; buy: sell; love: hate; give: take; laugh: cry; ask: answer; remember: forget; arrive: leave
wide: narrow; deep: shallow; sharp: blunt; smooth: rough; sweet: sour; easy: difficult; cheap: expensive; safe: dangerous; brave: afraid
alive: dead; asleep: awake; always: never; before: after; summer: winter; friend: enemy; success: failure; top: bottom; polite: rude
beautiful: ugly; warm: cool; kind: cruel; busy: free; new: old; tight: loose; bright: dim; same: different; north: south; east: west
question: answer; start: stop; come: go; morning: evening; sunrise: sunset; yes: no; more: less; many: few; hello: goodbye; war: peace
calm: angry; possible: impossible; lucky: unlucky; visible: invisible; fresh: stale; lazy: hard-working; clever: stupid; noisy: quiet""")
SYNONYMS = table("""
big: large; small: little; happy: glad; sad: unhappy; fast: quick; smart: clever; begin: start; end: finish; angry: cross; pretty: beautiful
tired: sleepy; scared: afraid; ill: sick; rich: wealthy; strange: odd; hard: difficult; easy: simple; shout: yell; jump: leap; speak: talk
look: see; gift: present; house: home; rock: stone; road: street; mistake: error; quiet: silent; brave: bold; kind: nice; correct: right
funny: amusing; hot: very warm; cold: chilly; tiny: very small; huge: very big; fix: repair; help: assist; buy: purchase; choose: pick; rude: impolite""")
RHYMES = groups("""
cat: hat, bat, mat; dog: log, fog, frog; sun: fun, run, bun; tree: bee, see, free; star: car, far, jar; moon: spoon, soon, noon; cake: lake, snake, make
ball: tall, wall, fall; house: mouse, blouse; bed: red, head, bread; light: night, bright, kite; boat: goat, coat, float; ring: sing, king, wing
day: play, say, way; book: look, cook, hook; rain: train, brain, plane; box: fox, socks, rocks; bear: chair, hair, pear; ship: trip, lip, clip
snow: go, slow, grow; sky: fly, high, pie; blue: shoe, two, new; hen: pen, ten, men; nose: rose, toes, hose; fish: dish, wish""")
PLURALS = table("""
cat: cats; dog: dogs; child: children; mouse: mice; foot: feet; tooth: teeth; man: men; woman: women; goose: geese; sheep: sheep; fish: fish
box: boxes; bus: buses; baby: babies; city: cities; leaf: leaves; knife: knives; wolf: wolves; apple: apples; house: houses; person: people
book: books; tree: trees; day: days; key: keys; party: parties; story: stories; glass: glasses; dish: dishes; church: churches; fox: foxes
tomato: tomatoes; potato: potatoes; hero: heroes; wife: wives; life: lives; shelf: shelves; half: halves; deer: deer; ox: oxen; toy: toys
car: cars; cup: cups; flower: flowers; friend: friends; chair: chairs; berry: berries; lady: ladies; country: countries; family: families
pencil: pencils; bird: birds; horse: horses; brush: brushes; watch: watches; boy: boys; girl: girls; spoon: spoons; egg: eggs; table: tables""")
PAST = table("""
go: went; eat: ate; see: saw; run: ran; swim: swam; come: came; take: took; give: gave; write: wrote; read: read; speak: spoke; drink: drank
sing: sang; sleep: slept; buy: bought; think: thought; bring: brought; catch: caught; teach: taught; make: made; have: had; be: was; do: did
say: said; tell: told; find: found; feel: felt; know: knew; grow: grew; fly: flew; draw: drew; drive: drove; ride: rode; break: broke
begin: began; win: won; lose: lost; fall: fell; forget: forgot; get: got; meet: met; sit: sat; stand: stood; keep: kept; leave: left
walk: walked; play: played; jump: jumped; cook: cooked; help: helped; look: looked; open: opened; close: closed; carry: carried; try: tried
stop: stopped; dance: danced; like: liked; clean: cleaned; paint: painted; wash: washed; work: worked; talk: talked; wait: waited; want: wanted
hear: heard; build: built; send: sent; spend: spent; pay: paid; wear: wore; hide: hid; throw: threw; choose: chose; sell: sold; hold: held""")
COMPARED = table("""
big: bigger; small: smaller; tall: taller; fast: faster; slow: slower; happy: happier; good: better; bad: worse; hot: hotter; cold: colder
old: older; young: younger; strong: stronger; easy: easier; nice: nicer; heavy: heavier; cheap: cheaper; long: longer; short: shorter; funny: funnier""")

CATEGORIES = groups("""
fruit: apple, banana, orange, pear, grape, cherry, plum, peach, lemon, melon, strawberry, mango, kiwi
vegetable: carrot, potato, onion, pea, bean, cabbage, spinach, pepper, cucumber, broccoli, lettuce
animal: dog, cat, horse, cow, lion, tiger, bear, rabbit, fox, elephant, sheep, mouse
colour: red, blue, green, yellow, orange, purple, pink, brown, black, white
drink: water, milk, tea, coffee, juice, lemonade, hot chocolate
piece of clothing: shirt, coat, hat, sock, shoe, dress, scarf, jacket, skirt, glove
piece of furniture: table, chair, bed, sofa, shelf, desk, cupboard, wardrobe
tool: hammer, saw, drill, screwdriver, spade, rake, axe
vehicle: car, bus, train, bicycle, boat, plane, truck, motorbike
musical instrument: piano, guitar, violin, drum, flute, trumpet, harp
sport: football, tennis, swimming, basketball, running, skiing, hockey, cycling
flower: rose, tulip, daisy, lily, sunflower, poppy, violet
bird: owl, eagle, duck, swan, robin, parrot, crow, dove
insect: ant, bee, fly, butterfly, beetle, moth, cricket
part of the body: hand, foot, arm, leg, head, nose, ear, eye, mouth, knee
job: doctor, teacher, baker, farmer, nurse, cook, driver, builder, painter, firefighter
room: kitchen, bedroom, bathroom, living room, hall, study
country: France, Italy, Japan, Brazil, Egypt, Canada, India, Spain, Kenya, Norway
city: Paris, London, Rome, Tokyo, Berlin, Madrid, Cairo, Lima, Oslo, Vienna
shape: circle, square, triangle, rectangle, oval, star
tree: oak, pine, birch, maple, willow, palm
metal: iron, gold, silver, copper, tin
family member: mother, father, sister, brother, aunt, uncle, cousin, grandmother
school subject: maths, history, art, music, science, geography
feeling: joy, anger, fear, sadness, surprise, pride
toy: ball, doll, kite, puzzle, teddy bear, toy car
meal: breakfast, lunch, dinner
kind of weather: rain, snow, sunshine, wind, fog, storm
planet: Mercury, Venus, Earth, Mars, Jupiter, Saturn""")

JOBS = table("""
baker: bakes bread and cakes; doctor: helps sick people get better; teacher: teaches children at school; farmer: grows food and looks after animals
firefighter: puts out fires and saves people; nurse: looks after people in hospital; pilot: flies planes; cook: makes meals; chef: cooks food in a restaurant
builder: builds houses; painter: paints walls and pictures; driver: drives cars or buses; police officer: keeps people safe; dentist: looks after teeth
vet: helps sick animals; gardener: looks after plants and gardens; tailor: makes and repairs clothes; singer: sings songs; writer: writes books and stories
fisherman: catches fish; waiter: brings food to people in a restaurant; librarian: looks after books in a library; scientist: studies how the world works
plumber: repairs pipes and taps; electrician: repairs lights and wires; hairdresser: cuts hair; postman: brings letters and parcels; butcher: sells meat
mechanic: repairs cars; judge: decides in court; sailor: works on a ship; astronaut: travels into space; photographer: takes pictures; carpenter: makes things from wood""")
USES = table("""
knife: to cut food; spoon: to eat soup; pen: to write; key: to open a lock; umbrella: to stay dry in the rain; clock: to tell the time; broom: to sweep the floor
bed: to sleep in; chair: to sit on; oven: to bake and roast food; fridge: to keep food cold; lamp: to make light; phone: to talk to people far away
scissors: to cut paper; hammer: to hit nails; saw: to cut wood; soap: to wash your hands; towel: to dry yourself; toothbrush: to clean your teeth
mirror: to see yourself; map: to find the way; ladder: to climb up high; camera: to take pictures; book: to read; bag: to carry things; cup: to drink from
bicycle: to ride from place to place; boat: to travel on water; plane: to travel through the air; blanket: to keep warm; ruler: to measure things
needle: to sew; spade: to dig; bell: to make a ringing sound; pillow: to rest your head on; glasses: to see better; thermometer: to measure how hot or cold it is
computer: to work, write and look things up; candle: to give light; rope: to tie things; basket: to carry things; pot: to cook food in; coat: to keep warm outside""")
BODY = table("""
eyes: see; ears: hear; nose: smell; tongue: taste; hands: hold things; legs: walk; teeth: chew; lungs: breathe; heart: pump blood; brain: think; mouth: eat and speak; feet: stand and walk""")
MADE_OF = table("""
bread: flour, water and yeast; cheese: milk; butter: milk; window: glass; book: paper; table: wood; tyre: rubber; jumper: wool; ice: frozen water
omelette: eggs; wine: grapes; chocolate: cocoa beans; paper: wood; cake: flour, eggs, sugar and butter; coin: metal; bottle: glass or plastic; brick: clay
honey: nectar from flowers; yoghurt: milk; pancake: flour, eggs and milk; lemonade: lemons, water and sugar; shoe: leather or cloth; key: metal; candle: wax; tea: tea leaves and hot water
soup: water, vegetables and sometimes meat; salad: lettuce, tomatoes and other vegetables; sandwich: bread with something tasty inside; snowman: snow; nest: twigs and leaves""")
WHAT_IS = table("""
the sun: a star that gives us light and warmth; the moon: a ball of rock that goes around the Earth; rain: water that falls from the clouds
snow: frozen water that falls from the clouds in winter; a rainbow: a band of colours in the sky when the sun shines through rain; ice: frozen water
a river: water that flows through the land to the sea; a mountain: a very high piece of land; an island: land with water all around it; a desert: a very dry place with little rain
a forest: a place with many trees; a lake: a large area of water with land around it; the sea: a very large area of salt water; a cloud: many tiny drops of water in the sky
a volcano: a mountain that can throw out hot rock; the Earth: the planet that we live on; a star: a huge ball of hot gas far away in the sky; a planet: a large round body that goes around a star
a hospital: a place where sick people get help; a school: a place where children learn; a library: a place where you can borrow books; a bakery: a shop that sells bread and cakes
a farm: a place where people grow food and keep animals; a museum: a place where you can look at old or beautiful things; a zoo: a place where you can see many animals
a market: a place where people buy and sell things; an airport: a place where planes take off and land; a bridge: something you can cross a river on; a castle: a large old building with thick walls
a birthday: the day on which you were born, and people celebrate it each year; a holiday: a time when you do not have to work; a recipe: a list of steps for making food
a dictionary: a book that explains words; a poem: a short text with rhythm, and often with rhymes; a novel: a long story in a book; a sentence: a group of words that says something complete
a noun: a word for a person, a place or a thing; a verb: a word for something you do; an adjective: a word that describes something; a vowel: one of the letters a, e, i, o and u
breakfast: the first meal of the day; lunch: the meal in the middle of the day; dinner: the main meal in the evening; soup: a warm liquid food; bread: a food made from flour and water
honey: a sweet food made by bees; milk: a white drink from cows; a friend: a person you like and trust; a family: a group of people who belong together; a neighbour: a person who lives near you
wind: moving air; thunder: the loud sound you hear after lightning; lightning: a bright flash of electricity in a storm; fog: a cloud close to the ground; electricity: energy that makes lights and machines work
music: sounds put together in a way that is nice to hear; a computer: a machine that stores and works with information; a robot: a machine that can do work on its own; the internet: a network that connects computers all over the world
a model: a program that has learned from examples, like me; money: what people use to buy things; time: what we measure in hours, minutes and seconds; a leap year: a year with 366 days""")
HOW_MANY = table("""
days are in a week: There are seven days in a week.; months are in a year: There are twelve months in a year.; hours are in a day: There are 24 hours in a day.
minutes are in an hour: There are 60 minutes in an hour.; seconds are in a minute: There are 60 seconds in a minute.; days are in a year: There are 365 days in a year, and 366 in a leap year.
seasons are there: There are four seasons.; weeks are in a year: There are 52 weeks in a year.; fingers does a hand have: A hand has five fingers.; letters are in the alphabet: There are 26 letters in the alphabet.
wheels does a car have: A car has four wheels.; wheels does a bicycle have: A bicycle has two wheels.; eyes does a person have: A person has two eyes.; continents are there: There are seven continents.
planets go around the sun: Eight planets go around the sun.; things are in a dozen: There are twelve things in a dozen.; months have 31 days: Seven months have 31 days.; colours are in a rainbow: A rainbow has seven colours.
cents are in a dollar: There are 100 cents in a dollar.; wheels does a tricycle have: A tricycle has three wheels.; strings does a guitar have: Most guitars have six strings.; days are in a weekend: There are two days in a weekend, Saturday and Sunday.
arms does an octopus have: An octopus has eight arms.; toes do people have: People have ten toes.; years are in a century: There are 100 years in a century.; legs does a chair have: Most chairs have four legs.""")
SUPERLATIVES = table("""
biggest animal: the blue whale; tallest animal: the giraffe; fastest animal on land: the cheetah; biggest ocean: the Pacific Ocean; highest mountain: Mount Everest
biggest planet: Jupiter; smallest continent: Australia; biggest continent: Asia; biggest land animal: the elephant; planet closest to the sun: Mercury; coldest season: winter; warmest season: summer
shortest month: February; first month of the year: January; last month of the year: December; first letter of the alphabet: A; last letter of the alphabet: Z; king of the animals: the lion
biggest bird: the ostrich; red planet: Mars; star closest to us: the sun; hottest season: summer; longest river in Africa: the Nile; capital of the United Kingdom: London""")
