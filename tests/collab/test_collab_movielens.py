"MovieLens folders as they are passed around: read right, or an error that names the file and the line"
import gzip

import pytest

from course_lib.collab import Ratings

RATINGS = "userId,movieId,rating,timestamp\n1,1,4.0,964982703\n1,3,4.5,964981247\n2,1,0.5,964982224\n2,6,3.0,964983815\n"
MOVIES = "movieId,title,genres\n1,Toy Tale (1995),Adventure|Comedy\n3,Café Society (2016),Comedy\n6,Heat Two (1995),(no genres listed)\n"
GENRES = "0|0|0|1|1|1|0|0|0|0|0|0|0|0|0|0|0|0|0"
DATA = "1\t1\t5\t874965758\n1\t2\t3\t876893171\n2\t1\t4\t878542960\n2\t3\t2\t876893119\n"
ITEM = f"1|Toy Tale (1995)|01-Jan-1995||http://x|{GENRES}\n2|Café (1996)|01-Jan-1996||http://x|{GENRES}\n3|unknown||||1{GENRES[1:]}\n"
USER = "1|24|M|technician|85711\n2|53|F|other|T8H1N\n"


@pytest.fixture
def read(tmp_path):
    "Reads a folder of these files; a text, or bytes"
    def folder(**files):
        for name, text in files.items(): (tmp_path/name.replace("__", ".")).write_bytes(text if isinstance(text, bytes) else text.encode())
        return Ratings.from_movielens(tmp_path)
    return folder


def csvs(movies=MOVIES, ratings=RATINGS): return {"ratings__csv": ratings, "movies__csv": movies}


# Right

@pytest.mark.parametrize("encoding", ["utf-8", "latin-1", "utf-8-sig", "utf-16", "cp1252"])
def test_films_in_any_encoding(read, encoding):
    assert read(**csvs(MOVIES.encode(encoding))).titles == ["Toy Tale (1995)", "Café Society (2016)", "Heat Two (1995)"]


@pytest.mark.parametrize("encoding", ["utf-8", "latin-1", "utf-8-sig", "cp1252"])
def test_items_in_any_encoding(read, encoding):
    r = read(u__data=DATA, u__item=ITEM.encode(encoding))
    assert r.titles == ["Toy Tale (1995)", "Café (1996)", "unknown"] and list(r.items) == [1, 2, 3] and r.item_features.shape == (3, 22)


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r\n\r\n"])
def test_line_ends_and_byte_order_marks(read, end):
    r = read(**csvs(("\ufeff" + MOVIES).replace("\n", end), ("\ufeff" + RATINGS).replace("\n", end)))
    assert len(r) == 4 and r.titles[1].startswith("Café") and r.rating.tolist() == [4, 4.5, 0.5, 3] and r.time[0] == 964982703


@pytest.mark.parametrize("names", [("None", "NA", "Null"), ("nan", "NaN", "N/A"), ("1984", "2001", "0"), ("True", "", " x ")])
def test_titles_stay_text(read, names):
    movies = "movieId,title,genres\n" + "".join(f"{i},{t},Comedy\n" for i, t in zip((1, 3, 6), names))
    assert read(**csvs(movies)).titles == [n.strip() for n in names]


@pytest.mark.parametrize("mark", [";", "\t", "|"])
def test_other_separators(read, mark):
    genres = MOVIES if mark != "|" else "movieId,title\n1,Toy Tale (1995)\n3,Café Society (2016)\n6,Heat Two (1995)\n"
    r = read(**csvs(genres.replace(",", mark), RATINGS.replace(",", mark)))
    assert len(r) == 4 and r.titles[2] == "Heat Two (1995)" and r.time is not None


@pytest.mark.parametrize("header", ["user_id,movie_id,rating,timestamp", "userId,itemId,rating,timestamp", " userId , movieId , rating , timestamp ", "USERID,MovieID,Rating,Timestamp",
                                    "User ID,Item ID,Rating,Time", '"userId","movieId","rating","timestamp"', "user,item,rating,timestamp", "user-id,movie-id,score,timestamp"])
def test_other_column_names(read, header):
    r = read(**csvs(ratings=RATINGS.replace("userId,movieId,rating,timestamp", header)))
    assert len(r) == 4 and list(r.items) == [1, 3, 6] and r.time is not None


def test_columns_in_another_order_or_more_of_them(read):
    ratings = "row,rating,movieId,userId\n" + "".join(f"{n},{r},{i},{u}\n" for n, (u, i, r, _) in enumerate(line.split(",") for line in RATINGS.splitlines()[1:]))
    r = read(**csvs("genres,movieId,title\nComedy,1,A (1995)\nDrama,3,B (1999)\nDrama,6,C (2000)\n", ratings))
    assert r.rating.tolist() == [4, 4.5, 0.5, 3] and r.time is None and r.titles == ["A (1995)", "B (1999)", "C (2000)"]


@pytest.mark.parametrize("movies, columns", [("movieId,title\n1,A (1995)\n3,B (1999)\n6,C (2000)\n", 3), ("movieId,title,genres\n1,A (1995),\n3,B (1999),Drama\n6,C (2000),\n", 4)])
def test_films_without_genres(read, movies, columns):
    r = read(**csvs(movies))
    assert r.n_items == 3 and r.item_features.shape == (3, columns) and r.item_features.isfinite().all()


def test_quoted_titles_as_published(read):
    movies = 'movieId,title,genres\n1,"American President, The (1995)",Comedy\n3,"""Great Performances"" Cats (1998)",Musical\n6,The "Big" One (1997),Drama\n'
    assert read(**csvs(movies)).titles == ["American President, The (1995)", '"Great Performances" Cats (1998)', 'The "Big" One (1997)']


def test_a_film_that_stands_twice_alike_is_one(read):
    r = read(**csvs(MOVIES + "3,Café Society (2016),Comedy\n"))
    assert r.n_items == 3 and r.titles[1].startswith("Café")


def test_films_nobody_rated_and_ids_with_gaps(read):
    r = read(**csvs(MOVIES + "99999999,Far (2020),Drama\n"))
    assert list(r.items) == [1, 3, 6, 99999999] and r.item.tolist() == [0, 1, 0, 2]


@pytest.mark.parametrize("data", ["1\t1\t5\n2\t1\t4\n", "user_id\titem_id\trating\n1\t1\t5\n2\t1\t4\n", "1 1 5\n2 1 4\n", "1::1::5\n2::1::4\n", "1,1,5\n2,1,4\n", "\ufeff1\t1\t5\n2\t1\t4\n", "\n1\t1\t5\n\n2\t1\t4\n\n"],
                         ids=["three", "headed", "spaces", "colons", "commas", "mark", "blank"])
def test_u_data_without_times(read, data):
    r = read(u__data=data)
    assert r.rating.tolist() == [5, 4] and r.time is None and list(r.users) == [1, 2]


def test_u_data_with_a_header(read):
    assert read(u__data="user id\titem id\trating\ttimestamp\n" + DATA).time.tolist() == [874965758, 876893171, 878542960, 876893119]


def test_quotation_marks_in_u_item_are_text(read):
    r = read(u__data=DATA, u__item=ITEM.replace("Toy Tale", '"Toy Tale').replace("unknown", 'The "Big" One'))
    assert r.titles[0] == '"Toy Tale (1995)' and r.titles[2] == 'The "Big" One'


def test_the_layout_of_one_million(read):
    r = read(ratings__dat="1::1193::5::978300760\n1::661::3::978302109\n2::1193::4::978298413\n",
             movies__dat="661::James: the Peach (1996)::Animation|Children's\n1193::Café: Nest (1975)::Drama\n".encode("latin-1"),
             users__dat="1::F::1::10::48067\n2::M::56::16::70072\n")
    assert r.rating.tolist() == [5, 3, 4] and r.titles == ["James: the Peach (1996)", "Café: Nest (1975)"] and list(r.items) == [661, 1193]
    assert r.user_features.shape[0] == 2 and r.item_features.shape == (2, 6) and r.time[2] == 978298413


def test_the_layout_of_ten_million(read):
    r = read(ratings__dat="1::122::5::838985046\n1::185::4.5::838983525\n", movies__dat="122::Boomerang (1992)::Comedy|Romance\n185::Net, The (1995)::Action\n", tags__dat="15::4973::excellent!::1215184630\n")
    assert r.rating.tolist() == [5, 4.5] and r.titles[1] == "Net, The (1995)" and r.user_features is None


def test_the_layout_of_25_and_32_million(read):
    r = read(**csvs(), tags__csv="userId,movieId,tag,timestamp\n", links__csv="movieId,imdbId,tmdbId\n", genome_scores__csv="movieId,tagId,relevance\n")
    assert len(r) == 4 and r.n_items == 3


@pytest.mark.parametrize("files", [{"u__item": b"\xef\xbb\xbf" + ITEM.encode("latin-1")}, {"u__item": ITEM.encode("utf-16")}, {"u__data": DATA.encode("utf-16")},
                                   {"u__item": ITEM.replace("\n", "|\r\n")}, {"u__data": DATA.replace("\n", "\t\r\n")}, {"u__user": USER.replace("\n", "|\n\n")}],
                         ids=["mark and Latin-1", "item in UTF-16", "data in UTF-16", "separator at the end", "tab at the end", "bar at the end of users"])
def test_100k_as_programs_save_it(read, files):
    r = read(**{"u__data": DATA, "u__item": ITEM, **files})
    assert r.titles == ["Toy Tale (1995)", "Café (1996)", "unknown"] and r.rating.tolist() == [5, 3, 4, 2] and r.time[0] == 874965758


@pytest.mark.parametrize("files", [csvs(b"\xef\xbb\xbf" + MOVIES.encode("latin-1")), csvs(ratings=RATINGS.encode("utf-16")), csvs(MOVIES.replace("\n", ",\n"), RATINGS.replace("\n", ",\n")),
                                   csvs("movieId,title,genres\n" + MOVIES.split("\n", 1)[1].replace("\n", ",\n")), csvs(MOVIES.replace("|", " | ").replace("y\n", "y \n")),
                                   csvs(gzip.compress(MOVIES.encode()), gzip.compress(RATINGS.encode())), {"RATINGS__CSV": RATINGS, "Movies__csv": MOVIES},
                                   {"ratings__csv__gz": gzip.compress(RATINGS.encode()), "movies__csv__gz": gzip.compress(MOVIES.encode())}, {"ratings__csv": RATINGS, "movies__csv__gz": gzip.compress(MOVIES.encode())}],
                         ids=["mark and Latin-1", "ratings in UTF-16", "commas at the end", "commas at the end of films", "spaces around genres", "gzipped, not named so", "capitals", "gz", "one gz"])
def test_csv_files_as_programs_save_them(read, files):
    r = read(**files)
    assert r.titles == ["Toy Tale (1995)", "Café Society (2016)", "Heat Two (1995)"] and r.rating.tolist() == [4, 4.5, 0.5, 3] and r.item_features.shape == (3, 6)


def test_separators_at_the_end_of_dat_files(read):
    r = read(ratings__dat="1::1193::5::978300760::\n1::661::3::978302109::\n", movies__dat="661::A (1996)::Drama::\n1193::B (1975)::Drama::\n")
    assert r.titles == ["A (1996)", "B (1975)"] and r.rating.tolist() == [5, 3]


def test_the_columns_of_a_headed_file_with_tabs_are_found_by_name(read):
    r = read(u__data="row\tuser\titem\trating\ttimestamp\n7\t1\t1\t5\t874965758\n8\t2\t1\t4\t874965759\n")
    assert list(r.users) == [1, 2] and r.rating.tolist() == [5, 4] and r.time.tolist() == [874965758, 874965759]


def test_an_age_of_zero_is_an_age(read):
    assert read(u__data=DATA, u__user=USER.replace("|24|", "|0|")).user_features.isfinite().all()


# Refused, with the file and the line

@pytest.mark.parametrize("files, says", [
    (csvs(MOVIES + "3,Again (1999),Drama\n"), "movies.csv, line 5: film 3 stands there twice, as 'Café Society .2016.' and 'Again .1999.'"),
    (csvs('movieId,title,genres\n1,"Toy Tale (1995),Comedy\n3,B,Drama\n6,C,Drama\n'), "movies.csv, line 2: .*quotation mark"),
    (csvs('movieId,title,genres\n1,A,Comedy\n3,"Big" One (1997),Drama\n6,C,Drama\n'), "movies.csv, line 3: .*quotation mark"),
    (csvs(MOVIES.replace("Heat Two (1995)", "Heat, Two (1995)")), "movies.csv, line 4 has 4 fields, not 3"),
    (csvs(MOVIES.replace("\n6,", "\nsix,")), "movies.csv, line 4: the id of a film is no whole number: 'six'"),
    (csvs(MOVIES.replace("movieId,title", "a,b")), "movies.csv has no column for the item, such as 'movieid'; there are: a, b, genres"),
    (csvs(MOVIES.replace("title,genres", "title,title")), "movies.csv: two columns are called 'title'"),
    (csvs(MOVIES.replace("6,Heat Two (1995),(no genres listed)\n", "")), "ratings.csv: item 6 is not among the 2 known ones"),
    (csvs(ratings=RATINGS.replace("4.5", "four")), "ratings.csv, line 3: the rating is no number: 'four'"),
    (csvs(ratings=RATINGS.replace("1,3,4.5,964981247", "1,3")), "ratings.csv, line 3 has 2 fields and none for the rating"),
    (csvs(ratings=RATINGS.replace("4.5", "")), "ratings.csv, line 3: the rating is no number: ''"),
    (csvs(ratings=RATINGS.replace("4.5", "nan")), "ratings.csv: rating in row 1 is nan"),
    (csvs(ratings=RATINGS.replace("userId", "who")), "ratings.csv has no column for the user, such as 'userid'; there are: who, movieId, rating, timestamp"),
    (csvs(ratings=RATINGS.replace("timestamp", "rating")), "ratings.csv: two columns are called 'rating'"),
    (csvs(ratings=RATINGS + "1,1,5.0,964982703\n"), "ratings.csv: user 1 rated item 1 more than once"),
    (csvs(ratings=RATINGS.replace("96498", "96498000")), "ratings.csv: time must be seconds"),
    (csvs(ratings=RATINGS.splitlines()[0] + "\n"), "ratings.csv holds no ratings"), (csvs(ratings=""), "ratings.csv is empty"),
    (csvs(ratings=RATINGS.replace("4.5", "4,5").replace(",", ";").replace("4;5", "4,5")), "ratings.csv, line 3: the rating is no number: '4,5'"),
    ({"u__data": DATA.replace("\t3\t876", "\tx\t876")}, "u.data, line 2: the rating is no number: 'x'"),
    ({"u__data": "1\t1\n2\t1\n"}, "u.data, line 1 has 2 fields"),
    ({"u__data": DATA, "u__item": ITEM.replace("|http://x|", "|", 1)}, "u.item, line 1: a number and 23 or 4 more fields"),
    ({"u__data": DATA, "u__item": ITEM.replace("|1\n", "|7\n").replace("|0\n", "|7\n", 1)}, "u.item, line 1: the nineteen genres must be 0 or 1"),
    ({"u__data": DATA, "u__item": ITEM + ITEM.splitlines()[0].replace("Toy", "Boy") + "\n"}, "u.item, line 4: 1 stands there twice"),
    ({"u__data": DATA, "u__item": ITEM.replace("\n3|", "\nx|")}, "u.item, line 3: a number"),
    ({"u__data": DATA, "u__user": USER.replace("|53|", "|old|")}, "u.user: the age of user 2 is no number: 'old'"),
    ({"u__data": DATA, "u__user": USER.replace("|technician", "")}, "u.user, line 1: a number and 4 more fields"),
    ({"u__data": DATA, "u__user": USER.splitlines()[0]}, "u.data: user 2 is not among the 1 known ones"),
    ({"ratings__dat": "1::10::4::978300760\n2::10:x::978302109\n"}, "ratings.dat, line 2"),
    *[(csvs(ratings=RATINGS.replace("\n1,3,4.5", f"\n{user},3,4.5")), f"ratings.csv, line 3: the user is no whole number below 2.+: '{user}'; Ratings.from_df")
      for user in ("1.5", "inf", "nan", "9007199254740993", "1e300")],
    (csvs(ratings=RATINGS.replace("\n1,3,", "\n1,9007199254740993,")), "ratings.csv, line 3: the item is no whole number"),
    (csvs(ratings=RATINGS.replace("\n1,3,", "\n1_0,3,")), "ratings.csv, line 3: the user is no number: '1_0'"),
    *[(csvs(MOVIES.replace("\n3,", f"\n{film},")), f"movies.csv, line 3: the id of a film is no whole number: '{film}'") for film in ("³", "٣", "-3", "3.0", "9"*20)],
    *[(csvs(text), "movies.csv is empty") for text in ("", "\n\n", "movieId,title,genres\n")],
    *[({"u__data": DATA, name: ""}, f"{name.replace('__', '.')} is empty; fill it, or take it away") for name in ("u__item", "u__user")],
    *[({"ratings__dat": "1::10::4::978300760\n", name: ""}, f"{name.replace('__', '.')} is empty") for name in ("movies__dat", "users__dat")],
    *[({"u__data": DATA, "u__user": USER.replace("|24|", f"|{age}|")}, f"u.user: the age of user 1 is no number: '{age}'") for age in ("nan", "inf", "")],
    (csvs(ratings=gzip.compress(RATINGS.encode())[:-20]), "ratings.csv is damaged or not complete"), (csvs(gzip.compress(MOVIES.encode())[:40]), "movies.csv is damaged or not complete"),
    ({"ratings__dat": "1::10::4::978300760\n", "movies__dat": "10::A::Drama::more\n"}, "movies.dat, line 1 has 4 fields, not 3"),
])
def test_what_cannot_be_read_is_named(read, files, says):
    with pytest.raises(ValueError, match=says): read(**files)


def test_a_folder_without_ratings(read):
    with pytest.raises(FileNotFoundError, match="neither u.data nor ratings.csv nor ratings.dat$"): read(movies__csv=MOVIES)


def test_the_folder_inside_or_the_file_itself_is_named(tmp_path):
    (tmp_path/"ml").mkdir()
    (tmp_path/"ml"/"ratings.csv.gz").write_bytes(gzip.compress(RATINGS.encode()))
    with pytest.raises(FileNotFoundError, match="ml does: name that"): Ratings.from_movielens(tmp_path)
    for wrong in (tmp_path/"ml"/"ratings.csv.gz", tmp_path/"gone"):
        with pytest.raises(FileNotFoundError, match=f"{wrong.name} is no folder; name the one that holds u.data"): Ratings.from_movielens(wrong)


@pytest.mark.real
def test_the_real_folders():
    from course_lib.data import get
    r = Ratings.from_movielens(get("ml-latest-small"))
    assert (len(r), r.n_users, r.n_items) == (100_836, 610, 9_742) and r.titles[0] == "Toy Story (1995)"
